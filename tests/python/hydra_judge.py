"""What Hydra makes of command lines on our own conf/: `hydra_judge.py REQUEST.json`.

The request holds the folder, the values at the start (from which the types follow) and the command lines. Printed is,
for each line, a list of jobs with the values that differ from the start, or null where Hydra refuses it.
"""

import json
import sys
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Optional

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

# The crate's own judge of command lines.
sys.path.append(str(Path(__file__).parents[2] / "crates/hydra-conf/tests/hydra"))
from judge import jobs, leaves  # noqa: E402


def schema(name, tree):
    """A typed class with these values at the start. What starts as null is text."""
    fields = []
    for key, value in tree.items():
        if isinstance(value, dict):
            section = schema(key, value)
            fields.append((key, section, field(default_factory=section)))
        else:
            fields.append((key, Optional[str] if value is None else type(value), field(default=value)))
    return make_dataclass(name, fields)


def job(overrides, start):
    values = leaves(OmegaConf.to_container(compose("program", overrides), resolve=True))
    return {key: value for key, value in values if start[key] != value}


def answer(line, start):
    try:
        return [job(one, start) for one in jobs(line)]
    except Exception:  # whatever Hydra says no with
        return None


request = json.load(open(sys.argv[1]))
start = request["start"]
groups = [key for key, value in start.items() if isinstance(value, dict)]
store = ConfigStore.instance()
store.store(name="program", node={"defaults": ["schema", *({group: "default"} for group in groups), "_self_"]})
whole = schema("Schema", start)
store.store(name="schema", node=whole)
for group in groups:
    store.store(group=group, name="default", node=whole.__annotations__[group])
with initialize_config_dir(request["conf"], job_name="train", version_base="1.3"):
    print(json.dumps([answer(line, dict(leaves(start))) for line in request["lines"]]))
