"""What is known of each host, and how politely it is asked."""
