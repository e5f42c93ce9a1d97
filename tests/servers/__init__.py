"""Real servers for every room's tests, on loopback, each in a process of its own.

Use the fixtures of ``tests/conftest.py`` (started once a test run):

    def test_something(image_server):
        url = image_server.put("/cat.jpg", photograph(), "image/jpeg")       # → http://127.0.0.1:PORT/cat.jpg
        many = [f"{url}?{n}" for n in range(1000)]                            # the query does not matter
        other_host = image_server.url("/cat.jpg", host=3)                     # the same server as 127.0.0.3
        ...
        assert image_server.count("/cat.jpg") == 1000

``https_server`` is the same with a certificate that ``certificates.authority_file`` proves;
``nginx`` has ``http``, ``https`` and ``http2`` addresses over ``nginx.folder``. Bad manners live at
fixed paths of ``image_server`` and ``https_server``: ``/status/404``, ``/hang-in-body``,
``/flaky/NAME?fail=2`` …; ``misbehaviours.py`` lists them. A test that counts should use a path of
its own: counts are kept for the life of the server.
"""

from tests.servers.certificates import TestAuthority
from tests.servers.image_server import ImageServer
from tests.servers.nginx import Nginx, find_nginx
from tests.servers.proxy import Proxy

__all__ = ["ImageServer", "Nginx", "Proxy", "TestAuthority", "find_nginx"]
