"""Random AME files in every dialect: the words of any release, in lines or brackets, with comments all over."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count


@dataclass
class Tag:
    name: str
    value: dict[str, object] = field(default_factory=dict)


class Writer:
    """Writes plain values as YAML in one of its many styles."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.step = chance.choice([2, 2, 4, 3])
        self.dash_offset = chance.choice([0, 2])
        self.brackets = chance.choice([0.1, 0.4])
        self.commented = chance.choice([0, 0.2, 0.5])
        self.newline = chance.choice(["\n", "\n", "\r\n"])
        self.numbers = count()
        self.comments: list[str] = []

    def file(self, content: dict[str, object]) -> str:
        text = self.newline.join(self.mapping(content, 0))
        return text + self.chance.choice([self.newline, self.newline, ""])

    def comment(self) -> str:
        self.comments.append(f"# comment {next(self.numbers)}")
        return self.comments[-1]

    def often(self, probability: float) -> bool:
        return self.chance.random() < probability

    def scalar(self, text: str, *, flow: bool) -> str:
        if "\n" in text:
            assert not flow
            return text
        style = self.chance.choice(["", "", "'", '"'])
        plain = text and not set(text) & set(",[]{}:#&*!|>'\"%@`") and text not in {"true", "false"}
        quote = style if style or plain else '"'
        return f"{quote}{text}{quote}"

    def flow(self, value: object) -> str:
        match value:
            case Tag():
                return f"!{value.name} {self.flow(value.value)}"
            case dict():
                space = self.chance.choice(["", " "])
                pairs = (f"{key}: {self.flow(each)}" for key, each in value.items())
                return f"{{{space}{', '.join(pairs)}{space}}}"
            case list():
                return f"[{', '.join(map(self.flow, value))}]"
            case None:
                return "null"
        return self.scalar(str(value), flow=True)

    def inline(self, value: object) -> str | None:
        """A value on one line, if it may or must stand there."""
        if isinstance(value, str):
            return None if "\n" in value else self.scalar(value, flow=False)
        if value is None:
            return ""
        empty = value in ({}, []) or (isinstance(value, Tag) and not value.value)
        return self.flow(value) if empty or (self.often(self.brackets) and fits(value)) else None

    def mapping(self, value: dict[str, object], column: int) -> list[str]:
        lines = []
        for key, each in value.items():
            if lines and self.often(self.commented / 2):
                lines.append(" " * column + self.comment())
            if lines and self.often(0.1):
                lines.append("")
            lines += self.pair(key, each, column)
        return lines

    def pair(self, key: str, value: object, column: int) -> list[str]:
        head = f"{' ' * column}{key}:"
        end = f"  {self.comment()}" if self.often(self.commented) else ""
        on_line = self.inline(value)
        if on_line is not None:
            return [f"{head} {on_line}".rstrip() + end]
        below = column + self.step
        match value:
            case str():
                return [f"{head} |{end}", *(" " * below + line for line in value.split("\n"))]
            case Tag():
                if self.often(0.5):
                    return [f"{head} !{value.name}{end}", *self.mapping(value.value, below)]
                return [f"{head}{end}", f"{' ' * below}!{value.name}", *self.mapping(value.value, below)]
            case dict():
                return [f"{head}{end}", *self.mapping(value, below)]
        assert isinstance(value, list)
        return [f"{head}{end}", *self.entries(value, column + self.dash_offset)]

    def entries(self, value: list[object], column: int) -> list[str]:
        lines = []
        for each in value:
            dash = f"{' ' * column}- "
            on_line = self.inline(each)
            if on_line is not None:
                lines.append(dash + on_line)
                continue
            match each:
                case Tag():
                    lines += [f"{dash}!{each.name}", *self.mapping(each.value, column + 2)]
                case dict():
                    first, *others = self.mapping(each, column + 2)
                    lines += [dash + first[column + 2 :], *others]
                case list():
                    first, *others = self.entries(each, column + 2)
                    lines += [dash + first[column + 2 :], *others]
        return lines


def fits(value: object) -> bool:
    """Whether a value can stand in brackets: no text in it has several lines."""
    match value:
        case Tag():
            return fits(value.value)
        case dict():
            return all(map(fits, value.values()))
        case list():
            return all(map(fits, value))
    return "\n" not in str(value)


class Files:
    """Makes projects that load, and says each thing of them in any release's words."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def one_of(self, *words: str) -> str:
        return self.chance.choice(words)

    def maybe(self) -> bool:
        return self.chance.random() < 0.4

    def project(self) -> dict[str, object]:
        names = ["fetch", "train", "validate", "score"]
        tasks = {name: self.task() for name in names}
        tasks["all"] = {"pipeline": self.pipeline(names)}
        content: dict[str, object] = {self.one_of("name", "project", "projectid", "projectname"): "x"}
        if self.maybe():
            content["templates"] = [{"name": "base", **self.task(), **self.resources()}]
            tasks["templated"] = {self.one_of("fromTemplate", "templateRef"): "base"}
            tasks["templated"] |= {} if self.maybe() else {"retries": "2"}
        if self.maybe():
            content["models"] = [self.model(name) for name in ("m", "n")]
        content["tasks"] = self.named(tasks)
        content[self.one_of("dataSets", "data_sets")] = [
            *map(self.data_set, ("d", "e")),
            *({"name": name, "path": name} for name in ("f", "g")),
        ]
        keys = list(content)
        self.chance.shuffle(keys)
        return {key: content[key] for key in keys}

    def named(self, tasks: dict[str, dict[str, object]]) -> object:
        if self.maybe():
            return [self.shuffled({"name": name, **task}) for name, task in tasks.items()]
        return {name: {"name": name, **task} if self.maybe() else task for name, task in tasks.items()}

    def shuffled(self, mapping: dict[str, object]) -> dict[str, object]:
        keys = list(mapping)
        self.chance.shuffle(keys)
        return {key: mapping[key] for key in keys}

    def command(self) -> str:
        return self.one_of("python train.py", "cd a\npython b.py --x=[1, 2]", "echo a, b", "go: no", "true")

    def task(self) -> dict[str, object]:
        task = self.executor()
        if self.maybe():
            task[self.one_of("env", "environment")] = self.env()
        if self.maybe():
            task["secrets"] = self.secrets()
        if self.maybe():
            task |= self.resources()
        if self.maybe():
            task["projectid"] = "x"
        if self.maybe():
            task |= self.data_sets()
        if self.maybe():
            task[self.one_of("artifacts", "artifactCfg")] = {"paths": ["out/"]}
        if self.maybe():
            task["source"] = {}
        if self.maybe():
            task["triggers"] = {"schedule": "0 3 * * *"}
        return self.shuffled(task)

    def executor(self) -> dict[str, object]:
        command = {"command": self.command()}
        kind = self.one_of("pip", "pipenv", "pipEnv", "custom", "poetry", "Poetry", "uv", "mlflow")
        typed = self.one_of("taskType", "task_type")
        forms: list[dict[str, object]] = [
            {"executor": Tag(kind, command | ({"pythonVersion": "3.10"} if self.maybe() else {}))},
            {"executor": {kind: command}},
            {"executor": command},
            {typed: self.one_of("Mlflow", "1")},
            {typed: self.one_of("PipEnv", "Poetry", "0", "2", "mlflow"), "runcommand": self.command()},
            {"executor": Tag(kind, command | {"image": "i"})},
            {"executor": Tag(kind, command), "image": "i", "kubernetes": {"labels": {"a": "b"}}},
            {self.one_of("runcommand", "command"): self.command()},
        ]
        return self.chance.choice(forms)

    def env(self) -> object:
        keys, values = ("key", "name", "envkey"), ("val", "value")
        one = {self.one_of(*keys): "A", self.one_of(*values): self.command()}
        other = {self.one_of(*keys): "B", self.one_of(*values): "010"}
        return one if self.maybe() else [one, other]

    def secrets(self) -> object:
        entries: list[object] = [self.secret("S"), self.secret("T")]
        return entries[0] if self.maybe() else entries

    def secret(self, variable: str) -> object:
        key = {self.one_of("key", "name"): "k"}
        variable_ = {self.one_of("injectAs", "envkey"): variable}
        vault = {self.one_of("vault", "vaultName"): "v", self.one_of("key", "secretPath"): "p"}
        vault |= {self.one_of("field", "secretKey"): "f"} if self.maybe() else {}
        of_a_vault = self.maybe()
        body = self.shuffled({**(vault if of_a_vault else key), **variable_})
        form = self.chance.randrange(4)
        if form == 0:
            return Tag(
                self.one_of("vault", "VaultSecret") if of_a_vault else self.one_of("ame", "AmeSecret"), body
            )
        if form == 1:
            return {"vault" if of_a_vault else "ame": body}
        return body

    def data_sets(self) -> dict[str, object]:
        named = [self.chance.choice(["f", "x.f", {"name": "f"}, {"name": "f", "project": "x"}]), "g"]
        entries = [each if self.maybe() else {"ref": each} for each in named]
        return {self.one_of("dataSets", "dataSet"): entries[0] if self.maybe() else entries}

    def resources(self) -> dict[str, object]:
        return {
            "resources": {"memory": self.one_of("4Gi", "64ki"), self.one_of("gpus", "nvidia.com/gpu"): "1"}
        }

    def reference(self, name: str) -> object:
        said = self.chance.choice([name, f"x.{name}", {"name": name}, {"name": name, "project": "x"}])
        return {self.one_of("taskRef", "taskref"): said}

    def pipeline(self, names: list[str]) -> object:
        if self.maybe():
            return {name: self.reference(name) for name in names} | {"own": self.executor()}
        own = {self.one_of("name", "taskname"): "own", **self.executor()}
        return [self.reference(names[0]), [self.reference(name) for name in names[1:]], own]

    def use(self, name: str) -> object:
        return self.reference(name) if self.maybe() else self.task_without_trigger()

    def task_without_trigger(self) -> dict[str, object]:
        return {key: value for key, value in self.task().items() if key != "triggers"}

    def data_set(self, name: str) -> dict[str, object]:
        made = [{"task": self.use("fetch")}, self.reference("fetch"), {}]
        return self.shuffled({"name": name, "path": name, **self.chance.choice(made)})

    def model(self, name: str) -> dict[str, object]:
        model: dict[str, object] = {"name": name, "training": {"task": self.use("train")}}
        if self.maybe():
            model["type"] = "mlflow"
        form = self.chance.randrange(3)
        if form == 0:
            model["validationTask"] = self.use("validate")
        elif form == 1:
            model["validation"] = {"task": self.use("validate")}
        if self.maybe():
            model["deployment"] = self.deployment()
        return self.shuffled(model)

    def deployment(self) -> dict[str, object]:
        words = {
            self.one_of("autoDeploy", "deploy"): "yes",
            self.one_of("enableTls", "enable_tls"): "false",
            self.one_of("ingressAnnotations", "ingress_annotations"): {"a": "b"},
            "auto_train": self.one_of("true", "false"),
        }
        return self.shuffled({word: value for word, value in words.items() if self.maybe()})


def dialect(seed: int) -> tuple[str, list[str]]:
    """A file and its comments."""
    chance = random.Random(seed)  # noqa: S311  # not a secret
    writer = Writer(chance)
    return writer.file(Files(chance).project()), writer.comments
