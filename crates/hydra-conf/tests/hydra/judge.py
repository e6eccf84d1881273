"""What Hydra itself makes of command lines: `judge.py write` renews the fixture, `judge.py check` compares it.

Each line of `answers.json` is a command line with the values that it changes, one object a job, or why it is refused.
The schema below is that of main.rs; both read the files of `conf/`. Needs hydra-core 1.3.2 and nothing else.
"""

import json
import math
import pathlib
import random
import sys
import warnings
from dataclasses import dataclass, field
from typing import List, Optional

import hydra
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

HERE = pathlib.Path(__file__).parent

# What every key is without an override: answers hold what differs.
START = {}


@dataclass
class Db:
    host: str = "localhost"
    port: int = 5432
    tries: Optional[int] = 3


@dataclass
class Shop:
    db: Db = field(default_factory=Db)
    name: str = "shop at ${db.host}"
    motto: Optional[str] = None
    tax: float = 0.19
    patience: Optional[float] = None
    orders: int = 10
    open: bool = True
    sizes: List[int] = field(default_factory=lambda: [100, 200])


def prepare():
    """The program: the schema, then what the defaults list of shop.yaml names."""
    defaults = ["_self_", *OmegaConf.to_container(OmegaConf.load(HERE / "conf" / "shop.yaml"))["defaults"]]
    store = ConfigStore.instance()
    store.store(name="program", node={"defaults": ["schema", *defaults[1:], "_self_"]})
    store.store(name="schema", node=Shop)
    store.store(group="db", name="default", node=Db)


def leaves(tree, prefix=""):
    """The values of every key by its dotted name; infinity, NaN and integers of more than 64 bits as words."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            odd = isinstance(value, float) and not math.isfinite(value)
            odd = odd or isinstance(value, int) and abs(value) >= 2**63
            yield f"{prefix}{key}", str(value) if odd else value


def configuration(overrides):
    cfg = compose("program", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    values = leaves(OmegaConf.to_container(cfg, resolve=True))
    return {key: value for key, value in values if START.get(key, key) != value}


def jobs(line):
    """The overrides of each job of a command line."""
    if line[:1] != ["-m"]:
        return [line]
    loader = GlobalHydra.instance().config_loader()
    loader.load_configuration("program", line[1:], hydra.types.RunMode.MULTIRUN)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(line[1:])
    (batch,) = BasicSweeper.split_arguments(parsed, None)
    return batch


def answer(line):
    """The jobs of a command line, or why there are none."""
    try:
        return [configuration(job) for job in jobs(line)]
    except Exception as error:  # whatever Hydra says no with
        reason = error.__cause__ or error
        return {"refused": (str(reason).splitlines() or [type(reason).__name__])[0]}


def by_hand():
    """The lines that people thought of: one a line, arguments separated by blanks that are not quoted."""
    lines = (HERE / "lines.txt").read_text().splitlines()
    return [line.split(" | ") for line in lines if line and not line.startswith("# ")]


def generated():
    """Values made of what the grammar knows, for every type of key."""
    dice = random.Random(13)
    keys = ["name"] * 4 + ["motto"] * 3 + ["db.host", "db.port", "db.tries"]
    keys += ["tax", "patience", "orders", "open", "sizes"]
    atoms = ["1", "-2", "+3", "0", "007", "1_000", "0.5", "1.", ".5", "1e3", "1E-2", "-1.5e+2", "inf", "-inf", "nan"]
    atoms += ["true", "False", "TRUE", "yes", "off", "y", "null", "NULL", "abc"]
    atoms += ["a-b", "a_b", "a.b", "a/b", "x:y", "@f"]
    atoms += ["*", "a?b", "a|b", "50%", "$x", r"a\ b", r"a\,b", r"\[x\]", r"a\\b"]
    atoms += [r"a\b", "'a b'", '"a,b"', r"'it\'s'"]
    atoms += ["''", '""', '"1"', "'null'", "'true'", "a b", "  a  ", "1 2"]
    atoms += ["${db.port}", "x${db.port}y", "${db.host}"]
    atoms += ["'5'", "' 5 '", "5 ", "0x10", "1__0", "_", "-", "--", "+", ".", "..", "1.2.3", "1-2", "e3", "1e", "0_1"]
    atoms += [r"'\\'", r'"a\\"', r"'a\\\'b'", r"\${db.host}", r"'\${x}'"]
    atoms += [r"'\\${db.port}'", "${tax}-${open}", "'${sizes}'"]
    shapes = ["{a}"] * 8 + ["[{a}]", "[{a},{b}]", "[ {a} , {b} ]", "[[{a}],{b}]"]
    shapes += ["{{k:{a}}}", "{a},{b}", "{a}, {b}", "{a}{b}"]
    shapes += ["int({a})", "float({a})", "str({a})", "bool({a})", "int( {a} )"]
    shapes += ["int({a},{b})", "int([{a}])", "str({a},{b})"]
    shapes += ["choice({a},{b})", "choice({a})", "range({a},{b})", "range(1,{a})"]
    shapes += ["range(0,{a},{b})", "sort({a},{b})"]
    shapes += ["sort([{a},{b}])", "sort({a},{b},reverse=true)", "foo({a})", "{a}-{b}", "{a} {b}", "{a}/{b}"]
    lines = []
    for shape in shapes:
        for _ in range(10):
            value = shape.format(a=dice.choice(atoms), b=dice.choice(atoms))
            multirun = ["-m"] if ("(" in shape or "," in shape) and dice.random() < 0.8 or dice.random() < 0.2 else []
            other = dice.choice([[]] * 6 + [["db=server"], ["preset=big"], ["preset=night"], ["orders=1,2"], ["tax=0.5"]])
            sign = dice.choice(["", "", "", "", "", "++", "+"])
            lines.append([*multirun, f"{sign}{dice.choice(keys)}={value}", *other])
    return lines


def main():
    warnings.simplefilter("ignore")
    assert hydra.__version__ == "1.3.2", hydra.__version__
    prepare()
    with initialize_config_dir(str(HERE.resolve() / "conf"), job_name="shop", version_base="1.3"):
        START.update(configuration([]))
        answers = [{"line": line, "answer": answer(line)} for line in by_hand() + generated()]
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in answers)
    text = '{"hydra": "%s", "answers": [\n%s\n]}\n' % (hydra.__version__, rows)
    file = HERE / "answers.json"
    if sys.argv[1:] == ["write"]:
        file.write_text(text)
    elif file.read_text() != text:
        sys.exit("answers.json is not what Hydra says today; renew it with `judge.py write`")
    print(len(answers), "lines,", sum("refused" in row["answer"] for row in answers), "refused")


if __name__ == "__main__":
    main()
