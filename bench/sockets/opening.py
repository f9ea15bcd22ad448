"""Opens connections as bare descriptors from addresses all over 127.0.0.0/8, so that ports never run out."""

import errno
import socket

CONNECTIONS_PER_ADDRESS = 200
_NO_PORT_YET = 24  # IP_BIND_ADDRESS_NO_PORT of Linux: the port is chosen on connecting, per destination
_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK


def source(number: int) -> str:
    """The address that the connection of this number comes from: a loopback address of its own for every 200."""
    address = number // CONNECTIONS_PER_ADDRESS + 0x01_01
    return f"127.{1 + (address >> 16)}.{address >> 8 & 255}.{address & 255}"


def begin(address: tuple[str, int], number: int) -> int:
    """Begin connection `number`: its descriptor. Raises OSError."""
    connection = socket.socket(socket.AF_INET, _STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_IP, _NO_PORT_YET, 1)
        connection.bind((source(number), 0))
        state = connection.connect_ex(address)
        if state not in (0, errno.EINPROGRESS):
            raise OSError(state, "cannot connect")
    except OSError:
        connection.close()
        raise
    return connection.detach()
