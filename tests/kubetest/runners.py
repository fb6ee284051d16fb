# SPDX-License-Identifier: Apache-2.0
"""A bastion (kubetest.bastions) whose sessions are programs of this machine, so that what a person types, sees and gets back can be
tested byte by byte: exec and connect run a shell with the arguments, forward goes to a server of the test.

    runner = Runner(kube, namespace, "db")
    runner.target = ("127.0.0.1", 8080)     where forward goes
"""
import errno
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios

from .bastions import CLOSE, STATUS, Bastion, frame, status

STDIN, STDOUT, STDERR, SIZE = 0, 1, 2, 4
AHEAD = 1 << 20  # of the input, before no more is taken


class Gone(OSError):
    """The other side has left."""


class Pump:
    """One session, in one thread: an SSL socket is not for two. Bytes of `outputs` ({fd: channel}) go out, input goes to `input_fd`."""

    def __init__(self, connection, outputs, input_fd, end_input, resize=None):
        self.connection, self.outputs, self.input_fd, self.end_input, self.resize = connection, outputs, input_fd, end_input, resize
        self.buffer, self.waiting, self.input_ended, self.told = b"", b"", False, False

    def send(self, channel, data):
        self.connection.sendall(frame(2, bytes([channel]) + data))

    def run(self, reason):
        """Until every output has ended, or reason() says why it ends before; gives that reason."""
        while self.outputs:
            if why := reason():
                return why
            takes = len(self.waiting) < AHEAD
            wanted = ([self.connection] if takes else []) + list(self.outputs)
            readable, writable, _ = select.select(wanted, [self.input_fd] if self.waiting else [], [], 0.05)
            if self.connection in readable:
                self.receive()
            if writable:
                self.feed()
            if self.input_ended and not self.waiting and not self.told:
                self.told = True
                self.end_input()
            for fd in readable:
                if fd is not self.connection:
                    self.drain(fd)
        return None

    def receive(self):
        while True:
            data = self.connection.recv(65536)
            if not data:
                raise Gone
            self.buffer += data
            if not self.connection.pending():
                break
        while (got := self.take_frame()) is not None:
            self.on_frame(*got)

    def take_frame(self):
        """(opcode, data) of a frame that is complete; a client's frames are masked."""
        if len(self.buffer) < 2:
            return None
        size, at = self.buffer[1] & 0x7F, 2
        if size > 125:
            form, length = (">H", 2) if size == 126 else (">Q", 8)
            if len(self.buffer) < at + length:
                return None
            size, at = struct.unpack(form, self.buffer[at:at + length])[0], at + length
        if len(self.buffer) < at + 4 + size:
            return None
        opcode, key, data = self.buffer[0] & 0x0F, self.buffer[at:at + 4], self.buffer[at + 4:at + 4 + size]
        self.buffer = self.buffer[at + 4 + size:]
        pad = (key * (size // 4 + 1))[:size]
        return opcode, (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")

    def on_frame(self, opcode, data):
        if opcode == 8:
            raise Gone
        if opcode != 2 or not data:
            return
        if data[0] == STDIN and not self.input_ended:
            self.waiting += data[1:]
        elif data == bytes([CLOSE, STDIN]):
            self.input_ended = True
        elif data[0] == SIZE and self.resize:
            self.resize(**{name.lower(): value for name, value in json.loads(data[1:]).items()})

    def feed(self):
        try:
            self.waiting = self.waiting[os.write(self.input_fd, self.waiting[:65536]):]
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.EIO):
                raise
            self.waiting, self.input_ended = b"", True  # it does not read any more

    def drain(self, fd):
        try:
            data = os.read(fd, 65536)
        except OSError:  # of a terminal: its program has ended
            data = b""
        if data:
            self.send(self.outputs[fd], data)
        else:
            self.send(CLOSE, bytes([self.outputs.pop(fd)]))


class Runner(Bastion):
    target, program = None, ["/bin/sh"]

    def __init__(self, *arguments, **options):
        self.reasons, self.processes, self.refuses = {}, [], None
        super().__init__(*arguments, **options)

    def serve_session(self, handler, kind, query):
        if self.refuses:
            return handler.reply(self.refuses["code"], self.refuses)
        return super().serve_session(handler, kind, query)

    def converse(self, handler, session, query):
        tty = query.get("tty") == ["true"]
        session["kind"] = "Connect" if tty else session["kind"]
        talk = self.forward if session["kind"] == "Forward" else self.terminal if tty else self.run
        said = talk(handler.connection, session, query.get("arg", []))
        handler.connection.sendall(frame(2, bytes([STATUS]) + json.dumps(said).encode()) + frame(8, struct.pack(">H", 1000)))

    def end_session(self, one, reason):
        with self.lock:
            known = one in self.sessions
        if known:
            self.reasons[one] = reason
        return known

    def pump(self, session, *arguments):
        return Pump(*arguments).run(lambda: self.reasons.get(session["id"]))

    # ---- programs
    def finish(self, process, why):
        if why:
            self.stop(process)
            return status(500, why, "Ended")
        code = process.wait()
        code = 128 - code if code < 0 else code
        if code == 0:
            return {"metadata": {}, "status": "Success"}
        return {**status(500, f"command terminated with exit code {code}", "NonZeroExitCode"),
                "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}

    def stop(self, process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def run(self, connection, session, args):
        process = subprocess.Popen([*self.program, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                                   start_new_session=True)
        self.processes.append(process)
        os.set_blocking(process.stdin.fileno(), False)
        try:
            why = self.pump(session, connection, {process.stdout.fileno(): STDOUT, process.stderr.fileno(): STDERR}, process.stdin.fileno(),
                            process.stdin.close)
            return self.finish(process, why)
        finally:
            self.stop(process)
            for pipe in (process.stdin, process.stdout, process.stderr):
                pipe.close()

    def terminal(self, connection, session, args):
        master, slave = pty.openpty()
        process = subprocess.Popen(["setsid", "--ctty", "--wait", *self.program, *args], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                   env={**os.environ, "PS1": "remote> ", "TERM": "xterm"})
        self.processes.append(process)
        os.close(slave)

        def resize(width, height):
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        try:
            return self.finish(process, self.pump(session, connection, {master: STDOUT}, master, lambda: None, resize))
        finally:
            os.close(master)  # hangs up
            self.stop(process)

    # ---- a server of the test
    def forward(self, connection, session, _args):
        with socket.create_connection(self.target) as far:
            def end_input():
                try:
                    far.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            why = self.pump(session, connection, {far.fileno(): STDOUT}, far.fileno(), end_input)
        return status(500, why, "Ended") if why else {"metadata": {}, "status": "Success"}
