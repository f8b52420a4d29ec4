from typing import Any

import pytest

from app.scaffold.templates.new_task.config import NewTaskTaskConfig
from app.schemas.problems import ConfigError


@pytest.mark.parametrize(("name", "value"), [("num_classes", 4), ("test_fingerprint", "0" * 64)])
def test_facts_of_the_task_cannot_be_changed(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        NewTaskTaskConfig(**{name: value})
