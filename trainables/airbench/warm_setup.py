"""What the runs of one configuration share, whatever their seed: images on the device, and a network that is warm."""

import contextlib

import torch
from torch import nn

from trainables.airbench.clock import Clock
from trainables.airbench.config import AirbenchConfig
from trainables.airbench.device_images import DeviceImages
from trainables.airbench.evaluation import TEST_BATCH, accuracy
from trainables.airbench.network import WHITENING_IMAGES, AirbenchNet, compute_dtype, make_net
from trainables.airbench.step import Step
from trainables.airbench.steps import WARM_UP_STEPS, CapturedSteps, SingleSteps
from trainables.compiler import require_compiler
from trainables.data.draws import hashed_seed
from trainables.data.info import DataInfo
from trainables.device import let_kernels_be_chosen
from trainables.distributed import Workers
from trainables.memory import keep_freed_memory


class WarmSetup:
    """The images of a dataset on a worker's device, and a network that has taken its first, slow steps."""

    def __init__(
        self, config: AirbenchConfig, info: DataInfo, workers: Workers, *, beside: "WarmSetup | None" = None
    ) -> None:
        """`beside` is the setup of a run that trains at the same time, with which it shares the images.

        Raises ValueError where the network is to be compiled and there is no compiler.
        """
        if config.compile:
            require_compiler(workers.device.type)
        keep_freed_memory()
        let_kernels_be_chosen()
        self.workers = workers
        self.dtype = compute_dtype(config, workers.device)
        """What the network computes in."""
        self.images = beside.images if beside else DeviceImages(info, workers, self.dtype)
        self.stream = torch.cuda.Stream(workers.device) if beside and workers.device.type == "cuda" else None
        """The stream on which it works beside others; None: the one that the device works on anyway."""
        self.num_classes, self.data = info.num_classes, info.described()
        """The number of classes, and what results keep of the data."""
        self.net = make_net(config, info.num_classes, dtype=self.dtype).to(workers.device)
        self.model: nn.Module = torch.compile(self.net, dynamic=False) if config.compile else self.net
        """What passes images through `net`."""
        self.launched = SingleSteps.launched
        """How the device gets its work: "as graphs", or "one by one" with the reason where that was not meant."""
        self._captured: CapturedSteps | None = None
        self._warm_up(config)

    def fresh_net(self, config: AirbenchConfig, clock: Clock | None = None) -> AirbenchNet:
        """The network, with the weights that a run of this configuration starts from."""
        torch.manual_seed(hashed_seed(config.seed, "initialisation"))
        self.net.init_weights()
        if config.whiten:
            with clock.part("whitening") if clock else contextlib.nullcontext():
                self.net.stem.init_whitening(self.images.normalised(self.images.pixels[:WHITENING_IMAGES]))
        return self.net

    def steps(self, config: AirbenchConfig, *, clock: Clock | None = None) -> SingleSteps | CapturedSteps:
        """What trains the network from its present weights for a run."""
        if self._captured:
            self._captured.restart()
            return self._captured
        return SingleSteps(self.images, self._step(config, clock))

    def _step(self, config: AirbenchConfig, clock: Clock | None = None) -> Step:
        total = config.total_steps(len(self.images))
        return Step(self.net, config, self.workers, total_steps=total, compiled=self.model, clock=clock)

    def _warm_up(self, config: AirbenchConfig) -> None:
        """Take steps on dummy labels and evaluate, so that code is compiled and kernels are chosen.

        What is learnt by that is thrown away: `fresh_net` starts again.
        """
        if self.workers.device.type == "cuda" and self.workers.world_size == 1:
            captured = CapturedSteps(self.images, self._step(config), self.stream)
            reason = captured.capture(freezes=config.freeze)
            self._captured = None if reason else captured
            self.launched = f"{SingleSteps.launched}: {reason}" if reason else CapturedSteps.launched
        else:
            own = config.batch_size // self.workers.world_size
            step = self._step(config)
            step.set_rates(0)
            dummy = torch.randint(self.num_classes, (own,), device=self.workers.device)
            x = self.images.normalised(self.images.pixels[:own])
            for learns in (True, False) if config.freeze else (True,):
                step.stem_learns(learns)
                for _ in range(WARM_UP_STEPS):
                    step(x, dummy)
        batch = self.images.normalised(self.images.test_pixels[:TEST_BATCH]), self.images.test_labels[:TEST_BATCH]
        accuracy(self.model, [batch], config.tta, self.workers)
