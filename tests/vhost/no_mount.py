# SPDX-License-Identifier: GPL-2.0-or-later
"""Back ends that can't be had: no mount, a message that says why, and nothing left behind."""

import os
import socket
import threading
import time

from vhostlib import CTL, Session, check, is_mounted, must, named, need_root, run, run_cases

# In the order in which they are sent, with those that are answered in their own right marked.
MESSAGES = {
    "GET_FEATURES": True, "GET_PROTOCOL_FEATURES": True, "SET_PROTOCOL_FEATURES": False,
    "GET_QUEUE_NUM": True, "SET_OWNER": False, "GET_CONFIG": True, "SET_FEATURES": False,
    "SET_MEM_TABLE": False, "SET_VRING_NUM": False, "SET_VRING_BASE": False,
    "SET_VRING_ADDR": False, "SET_VRING_ERR": False, "SET_VRING_CALL": False,
    "SET_VRING_KICK": False, "SET_VRING_ENABLE": False,
}


def refused_by(kind, listener):
    """The daemon meets @listener, a function of a connection, where a back end is due."""
    with Session() as s:
        server = socket.socket(socket.AF_UNIX, kind)
        server.bind(s.socket)
        if listener:
            server.listen(1)

            def serve():
                connection, _ = server.accept()
                listener(connection)

            threading.Thread(target=serve, daemon=True).start()
        else:
            server.close()
        status, out = run(s.daemon_argv(), 12, env=s.environment())
        check(status == 1, f"status {status}: {out}")
        return out


def no_socket():
    with Session() as s:
        status, out = run(s.daemon_argv(), env=s.environment())
        check(status == 1 and "No such file" in out and "Start the back end" in out, out)


def no_path():
    with Session() as s:
        status, out = run([s.daemon_argv()[0], "vhost-user:", s.mnt], env=s.environment())
        check(status == 2 and "lacks the path" in out, out)


def a_file_that_is_no_socket():
    with Session() as s:
        with open(s.socket, "w", encoding="utf-8"):
            pass
        status, out = run(s.daemon_argv(), env=s.environment())
        check(status == 1 and "no socket" in out, out)


def a_socket_nobody_listens_at():
    out = refused_by(socket.SOCK_STREAM, None)
    check("Nobody listens" in out, out)


def a_datagram_socket():
    with Session() as s:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        server.bind(s.socket)
        status, out = run(s.daemon_argv(), env=s.environment())
        check(status == 1 and "no stream socket" in out, out)


def another_protocol():
    out = refused_by(socket.SOCK_STREAM,
                     lambda c: (c.sendall(b"220 mail.example ESMTP ready\r\n" * 4), time.sleep(1)))
    check("none of vhost-user's" in out, out)


def its_own_words_back():
    out = refused_by(socket.SOCK_STREAM, lambda c: (c.sendall(c.recv(64)), time.sleep(1)))
    check("none of vhost-user's" in out, out)


def a_listener_that_says_nothing():
    keep = []
    start = time.monotonic()
    out = refused_by(socket.SOCK_STREAM, keep.append)
    check("did not answer GET_FEATURES" in out, out)
    check(time.monotonic() - start < 7, "that took too long")


def a_listener_that_closes():
    out = refused_by(socket.SOCK_STREAM, lambda c: c.close())
    check("closed its socket at GET_FEATURES" in out, out)


def no_version_1():
    with Session(backend_args=["--no", "version-1"]) as s:
        out = s.refuse()
        check("VIRTIO_F_VERSION_1" in out, out)


def packed_rings_that_are_not_there():
    with Session(options="ring=packed") as s:
        out = s.refuse()
        check("VIRTIO_F_RING_PACKED" in out, out)


def no_protocol_features():
    with Session(backend_args=["--no", "protocol-features"]) as s:
        out = s.refuse()
        check("VHOST_USER_F_PROTOCOL_FEATURES" in out, out)


def more_queues_than_there_are():
    with Session(backend_args=["--queues", "2"], options="queues=3") as s:
        out = s.refuse()
        check("no more than 2 request queues" in out, out)


def a_tag_that_is_none():
    with Session(backend_args=["--tag", "a\nb"]) as s:
        out = s.refuse()
        check("tag" in out, out)


def a_socket_that_a_daemon_has():
    with Session().mount() as s:
        other = os.path.join(s.work, "other")
        os.mkdir(other)
        status, out = run([s.daemon_argv()[0], "-f", "vhost-user:" + s.socket, other],
                          env=s.environment())
        check(status == 1 and "is mounted already" in out and s.mnt in out, out)
        check(not is_mounted(other), "mounted twice")
        s.umount()


def show_asks_the_daemon_or_the_back_end():
    with Session(backend_args=["--tag", "mytag", "--queues", "3"]).mount() as s:
        out = must([CTL, "show", "vhost-user:" + s.socket])
        check("see viofsctl status" in out, out)
        out = must([CTL, "status", s.mnt])
        check("vhost-user" in out and "mytag" in out, out)
        s.umount()
        s.backend.wait(5)
        s.daemon = None
        s.start_backend()
        out = must([CTL, "show", "vhost-user:" + s.socket])
        check("mytag" in out and "request queues 3" in out and "start it again" in out, out)


def bind_is_for_pci_devices():
    with Session() as s:
        s.start_backend()
        status, out = run([CTL, "bind", "vhost-user:" + s.socket])
        check(status == 1 and "no PCI device" in out, out)


def message_case(name, how):
    """The back end fails at one message."""
    with Session(backend_args=["--tag", "t", "--message", f"{name}={how}"]) as s:
        if how == "unasked":
            # It shows at the next message, or once the daemon looks: then the session ends.
            s.start_backend()
            status, out = run(s.daemon_argv(), 12, env=s.environment())
            check(status == 1, f"status {status}: {out}")
            return
        out = s.refuse()
        check(name in out or name == "SET_FEATURES" or "closed" in out,
              f"{name} is not named: {out}")


def at_the_end(how):
    """The last message fails: the mount is gone by then, and the daemon ends well."""
    with Session(backend_args=["--message", f"GET_VRING_BASE={how}"]).mount() as s:
        must(["ls", s.mnt])
        s.umount(15)


def message_cases():
    cases = []
    for name, answered in MESSAGES.items():
        hows = ["close", "half", "garbage", "wrong"]
        if name == "SET_PROTOCOL_FEATURES":
            hows = ["close"]  # it has no acknowledgement yet
        elif not answered:
            hows.append("refuse")
        if name in ("GET_FEATURES", "SET_MEM_TABLE", "SET_VRING_ENABLE"):
            hows += ["mute", "unasked"]
        cases += [(f"{name} {how}", lambda a=(name, how): message_case(*a)) for how in hows]
    cases += [(f"GET_VRING_BASE {how}", lambda h=how: at_the_end(h))
              for how in ("close", "half", "garbage", "wrong", "mute")]
    return cases


def main():
    need_root()
    run_cases(named([
        no_socket, no_path, a_file_that_is_no_socket, a_socket_nobody_listens_at, a_datagram_socket,
        another_protocol, its_own_words_back, a_listener_that_says_nothing, a_listener_that_closes,
        packed_rings_that_are_not_there, no_version_1, no_protocol_features,
        more_queues_than_there_are,
        a_tag_that_is_none,
        a_socket_that_a_daemon_has, show_asks_the_daemon_or_the_back_end, bind_is_for_pci_devices,
    ]) + message_cases(), at_once=3)


if __name__ == "__main__":
    main()
