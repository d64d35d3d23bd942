"""A worker, as Faust wants it: ``faust -A service.faust_app worker`` finds ``app`` here.

``lastgasp run worker`` starts that with its options in the environment.  The app lives as long as
the process; its parts are opened when Faust starts and closed when it stops.
"""

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from grid.network import Network
from service import logging as our_logging
from service.clock import now_ms
from service.cluster_roles import Parts, credentials_of
from service.pulse import Pulse
from service.rerooting import Rerooting
from service.roles import of_environment
from service.tasks import Failure, leave_within
from service.worker_parts import Mouth, Numberings, engines_for, open_plans, worker_figures
from stream.faust_worker import make_app
from stream.kafka_clients import topic_of
from stream.worker import Worker

run = of_environment()
worker = Worker(topic_of(run.settings.kafka, "frames"), run.settings.kafka, run.settings.stream)


@asynccontextmanager
async def opened(crash: Callable[[BaseException], Awaitable[None]]) -> AsyncIterator[None]:
    """The parts beside Faust, from before it consumes until after it has stopped."""
    our_logging.set_up(
        run.settings.log, stream=sys.__stderr__
    )  # Faust has set up its own meanwhile
    failure = Failure()
    async with AsyncExitStack() as stack:
        parts = Parts(run, stack, failure)
        await parts.answering()
        store = await parts.store()
        network = await parts.network(store)
        pulse = Pulse(network, store.commit, now_ms, metrics=parts.metrics)
        for outage in await store.outages():
            pulse.dark.stands(outage.id, outage.state, outage.customers_out)
        mouth = Mouth(run, await parts.producer())
        numberings = Numberings(store, network, run.settings.stream.numberings_max)
        owner = f"{run.sender}/{os.getpid()}-{secrets.token_hex(4)}"
        engines = partial(
            engines_for, run, store, owner=owner, numberings=numberings, pulse=pulse, mouth=mouth
        )
        worker.use(engines(network))

        async def replaced(_before: Network, after: Network) -> None:
            numberings.know(after)
            plans = await open_plans(store, now_ms())
            worker.replace_network(after, engines(after), plans)

        rerooting = Rerooting(store, network, pulse.expect, replaced, ())
        stack.push_async_callback(worker.stop)
        parts.health.watch("database", pulse.trouble)
        parts.health.watch("partitions", lambda: worker.trouble)
        worker_figures(parts.metrics, worker, now_ms)
        await parts.beside("partitions", worker.watch())
        await parts.beside("network", rerooting.run(run.settings.care.network_s))
        parts.started()
        watching = asyncio.create_task(_fail(failure, crash))
        stack.callback(watching.cancel)
        yield


async def _fail(failure: Failure, crash: Callable[[BaseException], Awaitable[None]]) -> None:
    """Half of a worker is worse than none: a supervisor starts it again."""
    await failure.wait()
    await crash(failure.error or RuntimeError("a part failed"))


app = make_app(
    worker,
    run.settings.kafka,
    credentials_of(run),
    client_id=run.sender,
    folder=Path(tempfile.mkdtemp(prefix="lastgasp-faust-")),
    beside=opened,
    leaving=partial(leave_within, run.settings.care.leave_s),
)
