"""Lines that mypy must refuse, each below its message: wrong configs in Python are found before they run.

`tests/test_typing.py` compares them, exactly; the usual run of mypy leaves this file out.
"""

from app import load_config, load_from_config
from app.compose import compose
from app.schemas.callbacks import EarlyStoppingConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.losses.torch_losses import CrossEntropyConfig
from app.schemas.metrics.classification import AccuracyConfig
from app.schemas.modules import MLPConfig
from app.schemas.optimizers import AdamWSpec, SGDSpec
from app.schemas.parts.backbones import ConvConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.run import RunConfig
from app.schemas.schedulers import StepLRSpec
from app.schemas.seed import SeedParams
from app.schemas.trainer import TrainerConfig
from app.tasks.digits.config import CNNConfig, CNNModuleConfig, DigitsTaskConfig

# error: Argument "lr" to "AdamWSpec" has incompatible type "str"; expected "float"  [arg-type]
AdamWSpec(lr="fast")
# error: Unexpected keyword argument "lrr" for "AdamWSpec"; did you mean "lr"?  [call-arg]
AdamWSpec(lrr=1.0)
# error: Too many positional arguments for "AdamWSpec"  [call-arg]
AdamWSpec(1e-3)
# error: Argument "betas" to "AdamWSpec" has incompatible type "tuple[float, float, float]"; expected "tuple[float, float]"  [arg-type]
AdamWSpec(betas=(0.9, 0.99, 0.999))
# error: Argument "betas" to "AdamWSpec" has incompatible type "float"; expected "tuple[float, float]"  [arg-type]
AdamWSpec(betas=0.9)
# error: Dict entry 0 has incompatible type "str": "dict[str, float]"; expected "str": "ParamGroupSpec"  [dict-item]
AdamWSpec(params={".head": {"lr": 1e-3}})
# error: Argument "nesterov" to "SGDSpec" has incompatible type "str"; expected "bool"  [arg-type]
SGDSpec(nesterov="yes")
# error: Missing named argument "monitor" for "EarlyStoppingConfig"  [call-arg]
EarlyStoppingConfig(mode="min")
# error: Missing named argument "step_size" for "StepLRSpec"  [call-arg]
StepLRSpec()

# error: Argument "optimizer_spec" to "RunConfig" has incompatible type "StepLRSpec"; expected "OptimizerSpec"  [arg-type]
RunConfig(task=DigitsTaskConfig(), optimizer_spec=StepLRSpec(step_size=2))
# error: Argument "scheduler_spec" to "RunConfig" has incompatible type "AdamWSpec"; expected "SchedulerSpec | None"  [arg-type]
RunConfig(task=DigitsTaskConfig(), scheduler_spec=AdamWSpec())
# error: Argument "optimizer_spec" to "RunConfig" has incompatible type "None"; expected "OptimizerSpec"  [arg-type]
RunConfig(task=DigitsTaskConfig(), optimizer_spec=None)
# error: Unexpected keyword argument "optimiser_spec" for "RunConfig"; did you mean "optimizer_spec"?  [call-arg]
RunConfig(task=DigitsTaskConfig(), optimiser_spec=AdamWSpec())
# error: Argument "callbacks" to "RunConfig" has incompatible type "list[EarlyStoppingConfig]"; expected "dict[str, CallbackConfig]"  [arg-type]
RunConfig(task=DigitsTaskConfig(), callbacks=[EarlyStoppingConfig(monitor="val/loss", mode="min")])
# error: Argument "task" to "RunConfig" has incompatible type "str"; expected "TaskConfig"  [arg-type]
RunConfig(task="digits")
# error: Missing named argument "task" for "RunConfig"  [call-arg]
RunConfig()

# error: Argument "precision" to "TrainerConfig" has incompatible type "Literal['17-mixed']"; expected "Literal['32-true', '16-mixed', 'bf16-mixed', '16-true', 'bf16-true', '64-true', 'transformer-engine', 'transformer-engine-float16']"  [arg-type]
TrainerConfig(precision="17-mixed")
# error: Argument "max_epochs" to "TrainerConfig" has incompatible type "float"; expected "int"  [arg-type]
TrainerConfig(max_epochs=2.5)
# error: Argument "max_epochs" to "TrainerConfig" has incompatible type "None"; expected "int"  [arg-type]
TrainerConfig(max_epochs=None)
# error: Argument "seed" to "SeedParams" has incompatible type "str"; expected "int"  [arg-type]
SeedParams(seed="7")

# error: Argument "num_classes" to "DigitsTaskConfig" has incompatible type "Literal[9]"; expected "Literal[10]"  [arg-type]
DigitsTaskConfig(num_classes=9)
# error: Argument "input_shape" to "DigitsTaskConfig" has incompatible type "tuple[Literal[1], Literal[28], Literal[28]]"; expected "tuple[Literal[1], Literal[8], Literal[8]]"  [arg-type]
DigitsTaskConfig(input_shape=(1, 28, 28))
# error: Argument "channels" to "CNNConfig" has incompatible type "int"; expected "tuple[int, ...]"  [arg-type]
CNNConfig(channels=32)
# error: Argument "model_config" to "CNNModuleConfig" has incompatible type "MLPConfig"; expected "CNNConfig"  [arg-type]
CNNModuleConfig(model_config=MLPConfig())

# error: Argument "label_smoothing" to "CrossEntropyConfig" has incompatible type "str"; expected "float"  [arg-type]
CrossEntropyConfig(label_smoothing="a lot")
# error: Dict entry 0 has incompatible type "str": "AdamWSpec"; expected "str": "LossConfig"  [dict-item]
JointLossConfig(losses={"cross_entropy": AdamWSpec()})
# error: Argument "task" to "AccuracyConfig" has incompatible type "Literal['regression']"; expected "Literal['binary', 'multiclass', 'multilabel']"  [arg-type]
AccuracyConfig(task="regression")
# error: Argument "head" to "PartsConfig" has incompatible type "ConvConfig"; expected "HeadConfig"  [arg-type]
PartsConfig(backbone=ConvConfig(), head=ConvConfig())

config = load_config()
# error: Incompatible types in assignment (expression has type "str", variable has type "int")  [assignment]
config.trainer.max_epochs = "ten"
# error: "TrainerConfig" has no attribute "max_epoch"; maybe "max_epochs"?  [attr-defined]
config.trainer.max_epoch = 10
# error: Incompatible types in assignment (expression has type "StepLRSpec", variable has type "OptimizerSpec")  [assignment]
config.optimizer_spec = StepLRSpec(step_size=2)
# error: "OptimizerSpec" has no attribute "betas"  [attr-defined]
config.optimizer_spec.betas
# error: Item "None" of "SchedulerSpec | None" has no attribute "interval"  [union-attr]
config.scheduler_spec.interval
# error: "RunConfig" has no attribute "optimiser_spec"; maybe "optimizer_spec"?  [attr-defined]
config.optimiser_spec

# error: optimizer_spec.lr: expected a number above 0, found 'fast'  [config]
load_config(["optimizer_spec.lr=fast"])
# error: trainer.max_epoch: TrainerConfig has no such field; did you mean 'max_epochs'?  [config]
load_config(overrides=["module=mlp", "trainer.max_epoch=3"])
# error: module: no option 'digits/cnm'; did you mean 'digits/cnn'? options for task digits: mlp, parts, digits/cnn, digits/default  [config]
compose(("module=digits/cnm",), "digits/robust")

# error: List item 0 has incompatible type "int"; expected "str"  [list-item]
load_config([3])
# error: Argument 1 to "load_from_config" has incompatible type "dict[str, str]"; expected "RunConfig"  [arg-type]
load_from_config({"task": "digits"})
# error: Too many values to unpack (2 expected, 3 provided)  [misc]
trainer, module = load_from_config(config)

# error: Module "app" has no attribute "lode_config"; maybe "load_config"?  [attr-defined]
from app import lode_config
