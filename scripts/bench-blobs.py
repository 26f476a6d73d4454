#!/usr/bin/env python3
"""Measures the service's memory while it takes and serves one large blob.

    scripts/bench-blobs.py [BINARY [MEGABYTES [READERS]]]

Starts the service (target/release/session-storage) on a directory of its own, stores one blob (1024 MB), then opens
connections (20) that read it slowly, and prints the resident memory above that of the idle service. Exit code 1: it was
more than 60 MB at some time, or a reader got other bytes.
"""

import hashlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

MOST_MB = 60
PIECE = bytes(range(256)) * 4096  # 1 MiB


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


class Peak(threading.Thread):
    """Notes the highest memory of a process."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.highest, self.ended = pid, 0.0, threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            self.highest = max(self.highest, resident_mb(self.pid))

    def taken(self):
        highest, self.highest = self.highest, 0.0
        return highest


def start(binary, storage):
    env = {"PORT": "0", "HOST": "127.0.0.1", "STORAGE_PATH": storage, "MAX_BLOB_BYTES": "64GiB", "RUST_LOG": "warn"}
    service = subprocess.Popen([binary], env=env, stdout=subprocess.PIPE, text=True)
    for line in service.stdout:
        if "listening on http://" in line:
            return service, line.split("http://")[1].split()[0].rstrip("/")
    sys.exit("the service did not start")


def put(address, path, megabytes):
    connection = http.client.HTTPConnection(address, timeout=600)
    connection.putrequest("PUT", path)
    connection.putheader("Content-Type", "video/mp4")
    connection.putheader("Content-Length", str(megabytes * len(PIECE)))
    connection.endheaders()
    for _ in range(megabytes):
        connection.send(PIECE)
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(f"the blob was refused: {answer.read()}")


def read_slowly(address, path, name, begun, go_on, wrong):
    connection = http.client.HTTPConnection(address, timeout=600)
    connection.request("GET", path)
    answer = connection.getresponse()
    digest = hashlib.sha256()
    # The first reader reads everything, the others a little, with pauses.
    pieces = 0
    while piece := answer.read(64 << 10):
        digest.update(piece)
        pieces += 1
        begun.release() if pieces == 1 else None
        if name is None:
            time.sleep(0.02)
            if go_on.is_set():
                return
    if name is not None and digest.hexdigest() != name:
        wrong.append(digest.hexdigest())


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "target/release/session-storage"
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 1024
    readers = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    digest = hashlib.sha256()
    for _ in range(megabytes):
        digest.update(PIECE)
    name = digest.hexdigest()
    path = f"/api/sessions/bench/blobs/{name}"
    with tempfile.TemporaryDirectory() as storage:
        service, address = start(os.path.abspath(binary), storage)
        try:
            put(address, "/api/sessions/bench/blobs/" + hashlib.sha256(PIECE).hexdigest(), 1)
            idle = resident_mb(service.pid)
            peak = Peak(service.pid)
            peak.start()
            began = time.monotonic()
            put(address, path, megabytes)
            took = time.monotonic() - began
            storing = peak.taken() - idle
            begun, enough, wrong = threading.Semaphore(0), threading.Event(), []
            slow = [
                threading.Thread(target=read_slowly, args=(address, path, name if n == 0 else None, begun, enough, wrong))
                for n in range(readers)
            ]
            for thread in slow:
                thread.start()
            for _ in slow:
                begun.acquire()
            slow[0].join()
            enough.set()
            for thread in slow[1:]:
                thread.join()
            serving = peak.taken() - idle
            peak.ended.set()
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait()
    print(f"blob of {megabytes} MB, idle service {idle:.1f} MB")
    print(f"stored in {took:.1f} s: {storing:.1f} MB above idle")
    print(f"{readers} readers: {serving:.1f} MB above idle")
    sys.exit(1 if wrong or max(storing, serving) > MOST_MB else 0)


if __name__ == "__main__":
    main()
