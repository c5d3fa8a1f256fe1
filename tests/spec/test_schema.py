"""The JSON Schema takes every file that is read, and refuses what a schema can see; `jsonschema` is the judge.

A file is shown to it as editors see it: with YAML's own types, those of version 1.1 and of version 1.2, and
without the executors' tags.
"""

import json
import random
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from ame.diagnosis import Refused
from ame.spec import words
from ame.spec.grammar import shapes_below
from ame.spec.schema import json_schema
from tests.spec import test_canonical, test_cases, test_kubernetes
from tests.spec.documents import document

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
ROUNDS = 800

# What takes more than one place of the file to see, or a tag.
ELSEWHERE = {
    "AME-E102",  # a name that does not exist
    "AME-E108",  # a key twice
    "AME-E110",  # two spellings of one key
    "AME-E115",  # a name twice
    "AME-E120",  # what is no time zone of the database
    "AME-E125",  # another project
    "AME-E126",  # templates in a circle
    "AME-E127",  # data sets in a circle
    "AME-E129",  # keys that contradict each other
    "AME-E130",  # tags
    "AME-E131",
    "AME-E132",  # a kind of GPU without a GPU
    "AME-E135",  # secrets
    "AME-E141",  # projects that are nowhere
}
# Cases that are refused for something else which the schema does not say, each with the reason.
UNSEEN = {
    "no steps": "an empty list is a list",
    "a template with a pipeline": "a template is a task of which parts are missing",
    "a template like a task": "a template is a task of which parts are missing",
    "pipelines that contain themselves": "a circle of references",
    "a pipeline whose step is like it": "a circle of references",
    "an inline task without a command": "a command may come from a template",
    "no executor": "a command may come from a template",
    "an executor without its command": "a command may come from a template",
    "a tag with nothing behind it": "a tag is not seen, and nothing is no executor",
    "a type without a command": "a command may come from a template",
    "a type of which a template says the command": "that the template's is another executor is not seen",
    "a loss of which nothing is said": "goes with the metric's name",
    "a loss of which nothing is said behind the key": "goes with the metric's name",
    "the strategy without its metric": "goes with the strategy",
    "the strategy with nothing for a metric": "goes with the strategy",
    "classes that are none": "they are two, and the same",
    "a metric of another task, and no task": "goes with the task",
    "no master: an empty number of cores": "the pattern of masters is a coarse one",
    "no master: no port": "the pattern of masters is a coarse one",
    "executors with a whole number of thousandths and little memory": "quantities with a suffix have no size here",
    "too little of a core": "that would be a multiple of 0.001, which no binary fraction is",
    "half a byte": "quantities with a suffix have no size here",
    "more than Kubernetes can count": "quantities with a suffix have no size here",
    "an archive outside of the project": "absolute paths and URIs are allowed, too",
    "no rows by a URI: a control character": "the pattern of URIs is a coarse one",
    "Python 3.1, which somebody's YAML library made of 3.10": "and so do editors",
    "an octal number of YAML 1.1": "a number, in either version",
    "an hour that no day has": "the pattern of schedules is a coarse one",
    "a day that no month has": "the pattern of schedules is a coarse one",
}


class Yaml11(yaml.SafeLoader):
    """YAML 1.1 as PyYAML has it, in which `no` is false and 010 is 8; tags are passed over."""

    def untagged(self, _suffix: str, node: yaml.Node) -> object:
        if isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_scalar(node) or None


class Yaml12(Yaml11):
    """The core schema of YAML 1.2, in which `no` is a text and 010 is 10; editors read it so."""

    yaml_implicit_resolvers = {}

    def integer(self, node: yaml.Node) -> int:
        return int(node.value, 0) if node.value[:2] in ("0o", "0x") else int(node.value)


Yaml11.add_multi_constructor("!", Yaml11.untagged)
Yaml12.add_constructor("tag:yaml.org,2002:int", Yaml12.integer)
for kind, pattern in {
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": "<<",
}.items():
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), None)


def as_json(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return str(value) if isinstance(value, date | bytes) else value


def views(text: str) -> list[object]:
    return [as_json(yaml.load(text, version)) for version in (Yaml11, Yaml12)]  # noqa: S506


def problems(text: str) -> list[str]:
    """What is wrong with a file by the schema, or already by YAML."""
    try:
        seen = views(text)
    except yaml.YAMLError as error:
        return [str(error)]
    return [f"{each.json_path}: {each.message}" for view in seen for each in VALIDATOR.iter_errors(view)]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def shown() -> list[object]:
    """The files that we show: examples, those in the pages, the template of `ame init`."""
    files = [*sorted(ROOT.glob("examples/*/ame.yml")), ROOT / "ame/cli/templates/project/ame.yml"]
    found = {str(file.relative_to(ROOT)): file.read_text().replace("$name", "x") for file in files}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in blocks(page):
            if re.search(r"^(name|projectid):", block, re.MULTILINE):
                found[f"{page.name}: {block.partition(chr(10))[0]}"] = block
    return [pytest.param(text, id=name) for name, text in found.items()]


def all_cases() -> list[object]:
    files = sorted(test_cases.FOLDER.glob("*.txt"))
    return [
        pytest.param(case, id=f"{file.stem}: {case.title}")
        for file in files
        if file.stem != "broken"
        for case in test_cases.cases(file)
    ]


def test_it_is_a_schema_of_draft_2020_12():
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$id" not in SCHEMA


def test_it_is_the_same_each_time():
    program = "import json; from ame.spec.schema import json_schema; print(json.dumps(json_schema()))"
    printed = {
        subprocess.check_output([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed})
        for seed in "12"
    }

    assert printed == {json.dumps(SCHEMA).encode() + b"\n"}


def test_every_shape_says_what_it_is_and_takes_no_other_keys():
    shapes = shapes_below(words.PROJECT)
    assert list(SCHEMA["$defs"]) == [shape.name for shape in shapes[1:]]
    for shape in shapes:
        schema = SCHEMA["$defs"].get(shape.name, SCHEMA)
        assert schema["additionalProperties"] is False
        assert schema["description"] == shape.about
        for word, said in schema["properties"].items():
            assert said["description"], word
            assert said.get("deprecated", False) is (word not in shape.keys)
            if word in shape.keys and shape.keys[word].default is not None:
                assert said["default"] == shape.keys[word].default


def test_javascript_reads_its_patterns_alike():
    """No flags, no groups with names, no classes that mean more in Python, no needless escapes."""
    found = re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(SCHEMA))
    patterns = {json.loads(each) for each in found}
    assert len(patterns) > 20
    for pattern in patterns:
        assert re.fullmatch(r"\^\(\?:.*\)\$", pattern, re.DOTALL)
        assert not re.search(r"\(\?P|\(\?<|\(\?[a-zA-Z]|\\[^sS.\[\]\\]|\$\)?.\$\Z|[*+?}][+]", pattern), (
            pattern
        )


@pytest.mark.parametrize("text", shown())
def test_every_file_that_we_show_fits(text):
    assert problems(text) == []


@pytest.mark.parametrize("text", [test_canonical.FILE, test_kubernetes.TEXT], ids=["canonical", "kubernetes"])
def test_a_file_that_uses_everything_fits(text):
    assert problems(text) == []


@pytest.mark.parametrize("case", all_cases())
def test_it_takes_what_is_read_and_refuses_what_it_can_see(refusals, case):
    codes = {said.partition(" ")[0] for said in refusals(case.text)}
    seen = problems(case.text)

    assert codes or not seen
    assert (not seen and not codes <= ELSEWHERE) is (case.title in UNSEEN)


def test_every_reason_for_not_seeing_something_is_that_of_a_case():
    assert UNSEEN.keys() <= {param.values[0].title for param in all_cases()}


VALUES = (
    *("''", "~", "1", "-1", "0", "0.5", "1e9", "true", "no", "[a, a]", "[]", "{}", "10000", "1.5", "500m", "4G"),
    *("x", "s3://bucket/x", "90s", "auto", "never", "MODE", "2026-01-01", "0x10", "'1'", "[1, b]", "3.10", ".5"),
)  # fmt: skip


def exchanged(chance: random.Random) -> str:
    """A case with up to two other values."""
    files = sorted(test_cases.FOLDER.glob("*.txt"))
    text = chance.choice([case for file in files for case in test_cases.cases(file)]).text
    places = list(re.finditer(r"(?<=: )[^\s,{}\[\]#][^,{}\[\]#\n]*", text))
    for place in sorted(chance.sample(places, min(2, len(places))), key=lambda found: -found.start()):
        text = text[: place.start()] + chance.choice(VALUES) + text[place.end() :]
    return text


def by_grammar(chance: random.Random) -> str:
    return document(chance).decode()


@pytest.mark.parametrize("written", [exchanged, by_grammar])
def test_whatever_is_read_fits(load, written):
    """Most such files are refused, and the rest must fit."""
    chance = random.Random(0)  # noqa: S311  # not a secret
    read = 0
    for _ in range(ROUNDS):
        text = written(chance)
        try:
            load(text)
        except Refused:
            continue
        read += 1
        assert problems(text) == [], text
    assert read > ROUNDS / 40
