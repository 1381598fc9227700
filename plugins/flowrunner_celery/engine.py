"""Runs as tasks of Celery: each task holds the id of a run and nothing else."""

from __future__ import annotations

from typing import Any, Final

from celery import Celery

from flowrunner import RunEngine, get_runner

TASK: Final = "flowrunner.carry_out"

#: Seconds that a server waits for its broker, on the request that starts a run. One that is frozen, or takes nothing
#: since its disk is full, answers never; the run is then sent again later.
_PATIENCE: Final = 3.0

#: Seconds for which a worker, which is in no hurry, waits for an answer.
_PATIENCE_OF_WORKERS: Final = 30.0


def make_celery(broker: str, queue: str, *, patience: float = _PATIENCE_OF_WORKERS) -> Celery:
    """Return a Celery app that sends and takes runs.

    A task is acknowledged when it has ended, and is delivered again when its worker was lost.

    :param patience: seconds to wait for an answer of the broker.
    """
    made = Celery("flowrunner", broker=broker, set_as_current=False)
    made.conf.update(
        task_default_queue=queue,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=min(5.0, patience),
        # The first two are Redis's, the others RabbitMQ's, which tells nobody of a task that it lost unless asked to.
        broker_transport_options={
            "socket_connect_timeout": min(5.0, patience),
            "socket_timeout": patience,
            "confirm_publish": True,
            "write_timeout": patience,
        },
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1},
    )
    return made


def carrying_out(celery: Celery, app: Any) -> Any:
    """Add the task that carries out the runs of a Flask app, and return it."""

    def carry_out(run_id: str) -> None:
        with app.app_context():
            get_runner(app=app).runner.carry_out(run_id)

    return celery.task(name=TASK)(carry_out)


class CeleryEngine(RunEngine):
    """Sends runs to Celery's workers.

    :param broker: address of the broker.
    :param queue: name of the queue.
    """

    def __init__(self, broker: str, queue: str) -> None:
        self._celery = make_celery(broker, queue, patience=_PATIENCE)

    def send(self, run_id: str) -> None:
        """Have a worker begin a run."""
        self._celery.send_task(TASK, args=[run_id], confirm_timeout=_PATIENCE)

    def close(self) -> None:
        """Close the connections to the broker."""
        self._celery.close()
