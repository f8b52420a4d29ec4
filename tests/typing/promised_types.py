"""What a type checker and an editor know about configs and runs. Nothing here runs; mypy reads it."""

from typing import Literal, assert_type

from lightning import LightningDataModule, LightningModule, Trainer
from pydantic import SecretStr
from torch import nn
from torch.optim import Optimizer

import app
from app.builders.models import build_network
from app.builders.optimizers import build_optimizer
from app.builders.run import Run
from app.losses.joint import JointLoss
from app.models.network import PartsNetwork
from app.schemas.callbacks import CallbackConfig, EarlyStoppingConfig
from app.schemas.loggers import LoggerConfig, WandbLoggerConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.losses.loss import LossConfig
from app.schemas.losses.torch_losses import CrossEntropyConfig
from app.schemas.metrics.classification import AccuracyConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import AdamWSpec, MuonSpec, OptimizerSpec, ParamGroupSpec
from app.schemas.parts.backbones import SmallResNetConfig
from app.schemas.parts.heads import LinearHeadConfig
from app.schemas.parts.kinds import NeckConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.parts.poolings import AveragePoolingConfig
from app.schemas.problems import ConfigError, Problem
from app.schemas.run import RunConfig
from app.schemas.schedulers import CosineAnnealingLRSpec, SchedulerSpec, SequentialLRSpec
from app.schemas.trainer import TrainerConfig
from app.schemas.validation import check
from app.tasks.digits.config import CNNConfig, CNNModuleConfig, DigitsTaskConfig
from app.tasks.digits.module import CNNModule

# The public names lead to the same types as the modules that define them.
assert_type(app.load_config(["module=mlp"], experiment=None), RunConfig)
assert_type(app.load_from_config(app.load_config()), Run)
assert_type(app.__version__, str)
config = app.load_config()

# A run can be unpacked, and its parts have names.
trainer, module, datamodule = app.load_from_config(config)
assert_type(trainer, Trainer)
assert_type(module, LightningModule)
assert_type(datamodule, LightningDataModule)
assert_type(app.load_from_config(config).trainer, Trainer)

# A config's parts are typed as their groups, and a part's fields as they are written.
assert_type(config.optimizer_spec, OptimizerSpec)
assert_type(config.scheduler_spec, SchedulerSpec | None)
assert_type(config.module, ModuleConfig)
assert_type(config.callbacks, dict[str, CallbackConfig])
assert_type(config.logger, dict[str, LoggerConfig])
assert_type(config.optimizer_spec.lr, float)
assert_type(config.optimizer_spec.params[".head"], ParamGroupSpec)
assert_type(config.optimizer_spec.params[".head"].lr, float | None)
assert_type(config.trainer.max_epochs, int)
assert_type(config.trainer, TrainerConfig)
assert_type(config.seed_params.seed, int)
assert_type(config.datamodule.dataloader.batch_size, int)
assert_type(config.task.mode, Literal["min", "max"])

# An option's own fields are there once it is known which option it is.
if isinstance(config.optimizer_spec, AdamWSpec):
    assert_type(config.optimizer_spec.betas, tuple[float, float])
if isinstance(config.logger["wandb"], WandbLoggerConfig):
    assert_type(config.logger["wandb"].api_key, SecretStr | None)
early_stopping = EarlyStoppingConfig(monitor="val/loss", mode="min")
assert_type(early_stopping.patience, int)
assert_type(MuonSpec().adjust_lr_fn, Literal["original", "match_rms_adamw"] | None)

# A task's facts are known to the value.
assert_type(DigitsTaskConfig().num_classes, Literal[10])
assert_type(CNNModuleConfig().model_config, CNNConfig)

# Configs written in Python take part objects, and a checked config keeps its type.
written = RunConfig(
    task=DigitsTaskConfig(),
    module=CNNModuleConfig(model_config=CNNConfig(channels=(16, 32))),
    optimizer_spec=AdamWSpec(lr=3e-4, params={".classifier": ParamGroupSpec(weight_decay=0.0)}),
    scheduler_spec=SequentialLRSpec(schedulers=(CosineAnnealingLRSpec(T_max=5),), milestones=()),
    trainer=TrainerConfig(max_epochs=3, precision="bf16-mixed", devices=1),
)
assert_type(check(written, RunConfig), RunConfig)
assert_type(build_optimizer(AdamWSpec(), nn.Linear(1, 1)), Optimizer)

# A module knows its own hyperparameters.
joint_loss = JointLossConfig(losses={"cross_entropy": CrossEntropyConfig(label_smoothing=0.1)})
module = CNNModule(CNNConfig(), AdamWSpec(), None, DigitsTaskConfig(), joint_loss)
assert_type(module.model_config, CNNConfig)
assert_type(module.model_config.channels, tuple[int, ...])
assert_type(module.joint_loss, JointLoss)

# So do losses, metrics, parts of a model and further optimizers.
assert_type(CrossEntropyConfig().label_smoothing, float)
assert_type(AccuracyConfig(task="multiclass", num_classes=3).top_k, int)
assert_type(written.joint_loss.losses, dict[str, LossConfig])
assert_type(written.metrics, dict[str, MetricConfig])
assert_type(written.optimizers, dict[str, NamedOptimizerSpec])
parts = PartsConfig(
    backbone=SmallResNetConfig(depth=8), pooling=AveragePoolingConfig(), head=LinearHeadConfig(num_classes=10)
)
assert_type(parts.neck, NeckConfig | None)
assert_type(build_network(parts, (1, 8, 8)), PartsNetwork)

# What is wrong with a config is data.
try:
    app.load_config(["optimizer_spec.lr=fast"])  # type: ignore[config]  # refused, as it says
except ConfigError as error:
    assert_type(error.problems, tuple[Problem, ...])
    assert_type(error.problems[0].path, str)
    assert_type(error.problems[0].source, str | None)
