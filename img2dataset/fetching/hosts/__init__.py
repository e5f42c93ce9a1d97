"""What has been found out about each host, and how politely it is asked."""
