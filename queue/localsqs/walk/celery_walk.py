"""Walks a Celery worker over SQS: tasks, one after a delay, one that is tried
again. Usage: celery_walk.py ENDPOINT"""

import os
import signal
import subprocess
import sys
import tempfile
import time

from celery import Celery

if "WALK_ENDPOINT" not in os.environ:  # the worker reads this file too
    os.environ["WALK_ENDPOINT"] = sys.argv[1]
endpoint = os.environ["WALK_ENDPOINT"]
written = os.environ.setdefault("WALK_FILE", os.path.join(tempfile.mkdtemp(), "done"))
app = Celery("walk", broker="sqs://local:secret@" + endpoint.removeprefix("http://"))
app.conf.update(
    task_default_queue="celery-walk",
    broker_transport_options={"region": "us-east-1", "polling_interval": 0.05, "wait_time_seconds": 1,
                              "visibility_timeout": 60},
    worker_enable_remote_control=False,
    task_acks_late=True,
)


@app.task(bind=True, name="note", max_retries=3)
def note(self, text, failures=0):
    if self.request.retries < failures:
        raise self.retry(countdown=1)
    with open(written, "a", encoding="utf-8") as f:
        f.write(text + "\n")


def lines():
    try:
        with open(written, encoding="utf-8") as f:
            return sorted(f.read().splitlines())
    except FileNotFoundError:
        return []


def main():
    texts = [f"task {i} “é” <&>" for i in range(20)]
    for text in texts:
        note.delay(text)
    note.apply_async(["later"], countdown=1)
    note.delay("again", failures=2)
    here = os.path.dirname(os.path.abspath(__file__))
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "--workdir", here, "-A", "celery_walk:app", "worker", "--pool", "solo",
         "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"],
        env={**os.environ, "PYTHONPATH": here, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        want, until = sorted(texts + ["later", "again"]), time.monotonic() + 60
        while len(lines()) < len(want) and time.monotonic() < until:
            if worker.poll() is not None:
                sys.exit("celery_walk.py: the worker ended")
            time.sleep(0.1)
        if lines() != want:
            sys.exit(f"celery_walk.py: done is {lines()}, want {want}")
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    print("walked")


if __name__ == "__main__":
    main()
