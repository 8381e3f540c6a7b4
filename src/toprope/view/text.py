"""Results as plain text for a person at a terminal: aligned, one item per line."""

from __future__ import annotations

from typing import Any

from toprope.stats.intervals import told


def table(rows: list[list[str]], indent: str = "  ") -> str:
    """Columns aligned to the left, two spaces apart."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))] if rows else []
    return "\n".join(indent + "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)


def clean(words: str) -> str:
    """Text on one line with control characters escaped, so that foreign text cannot move the cursor or forge a line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


def clean_all(value: Any) -> Any:
    """A result in which every string is clean, including names of fields."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean_all(k): clean_all(v) for k, v in value.items()}
    return [clean_all(v) for v in value] if isinstance(value, list | tuple) else value


def printable(words: str) -> str:
    """Lines for a terminal, without control characters except our own line ends."""
    return "\n".join(map(clean, words.split("\n")))


def interval(e: dict[str, float] | None) -> str:
    return "-" if e is None else f"{e['value']:.3f}  [{e['lo']:.3f}, {e['hi']:.3f}]"


def tasks(rows: list[dict[str, Any]]) -> str:
    return table([[r["id"], r["area"], r["title"]] for r in rows])


def protection(p: dict[str, Any]) -> str:
    """The protection in force, on one line."""
    if p.get("tier") == "none":
        return "protection: NONE - candidates can read and change anything you can; results are marked unprotected"
    known = {name: str(p.get(name, "unknown"))[:200] for name in ("tier", "landlock_abi", "identity", "network")}
    parts = ["namespaces"] if p.get("namespaces") else []
    parts += [f"Landlock ABI {known['landlock_abi']}", "seccomp", known["identity"], f"network {known['network']}"]
    instead = f"; {str(p['instead'])[:500]}" if p.get("instead") else ""
    return clean(f"protection: {known['tier']} ({', '.join(parts)}){instead}")


def protected(p: dict[str, Any]) -> str:
    """The protection in force as two sentences, for a page. p: of the ledger, any of whose values may be foreign."""
    if p.get("tier") == "none":
        return "None: candidates could read and change anything that the user could."
    known = {name: str(p.get(name, "unknown"))[:200] for name in ("tier", "landlock_abi", "identity", "network")}
    layers = ["namespaces"] if p.get("namespaces") else []
    layers += [f"Landlock (ABI {known['landlock_abi']})", "seccomp filters", known["identity"]]
    said = f"Every candidate ran in a sandbox of the tier {known['tier']}: {', '.join(layers)}; "
    said += f"network {known['network']}."
    limits = p.get("limits")
    if isinstance(limits, dict) and {"wall_s", "cpu_s", "memory_mb"} <= limits.keys():
        said += f" Its limits were {limits['wall_s']} s, {limits['cpu_s']} CPU s and {limits['memory_mb']} MiB."
    return clean(said[:900] + (f" A better tier did not hold: {str(p['instead'])[:500]}" if p.get("instead") else ""))


def ending(s: dict[str, Any], unseal: str) -> str:
    """How a climb ended, with the sealed test first. unseal: the command that opens it."""
    champion, test = s["champion"], s["test"]
    lines = [""]
    if test is not None:
        level = "95 %" if test["openings"] == 1 else f"{100 * (1 - 0.05 / test['openings']):.4g} %"
        lines += [
            f"sealed test   {interval(test)}   {test['draws']} draws, {level} interval, opening {test['openings']}",
            "",
            *_against(s),
            "",
        ]
    else:
        lines += [f"sealed test   not opened; {_how_to_open(s, unseal)}", ""]
    promoted = f"{s['promotions']} of {s['attempts']} attempts promoted"
    measured = interval(champion["measured"])
    lines += [
        f"champion      {champion['candidate'][:12]}   measured on fresh data {measured}   ({promoted})",
        f"climb         {s['experiments']} experiments{_failed(s)}, {s['cost']['wall_s']:.0f} s, "
        f"{s['cost']['cpu_s']:.0f} CPU s",
        protection(s["protection"]),
    ]
    if s["confined"]:
        lines.append("referee: a service under another user; this user cannot read the vault")
    elif s["climber"] == "external" or s["climber"].startswith("llm:"):
        lines.append("agent unconfined: an agent with a shell as this user can read the vault (`toprope referee`)")
    if s["notes"]:
        lines.append(f"helped by a person: the operator's notes to the authors, {s['notes']} in all (`toprope export`)")
    if not s["certifying"]:
        lines.append(
            "this run certifies nothing: "
            + ("no protection" if s["protection"].get("tier") == "none" else "rehearsal secret")
        )
    if s["secret"] is not None and s["secret"]["public"]:
        lines.append(f"{s['secret']['label']}; `{s['secret']['remedy']}` makes it private")
    if s["model"] is not None:
        lines.append(model(s["model"]))
    if "sitting" in s["cost"]:
        lines.append(f"time          {_sitting(s['cost']['sitting'])}")
    lines.append(clean(f"run           {s['run']}" + (f"   report {s['report']}" if "report" in s else "")))
    return "\n".join(lines)


def _failed(s: dict[str, Any]) -> str:
    """Experiments that did not end ok, by outcome."""
    said = ", ".join(f"{n} {outcome}" for outcome, n in s["outcomes"].items())
    return f" ({said})" if said else ""


def model(said: dict[str, Any]) -> str:
    """The model that candidates could ask. said: as in a summary."""
    if said["name"] == "scripted":
        return "model: the task's own script stood in for a language model; the number says nothing about a real one"
    money = f", ${said['dollars']:.2f}" if said["dollars"] else ""
    name = clean(said["name"])
    return f"model: candidates asked {name}, {said['replies']:,} replies, {said['tokens']:,} tokens{money}"


def _how_to_open(s: dict[str, Any], unseal: str) -> str:
    beacon = s["beacon"]
    if beacon is None:
        return f"`{unseal}` opens it once and ends the run"
    if s["committed"] is None:
        return f"`{unseal}` commits to the champion; do so before {beacon['round']} comes out"
    return clean(f"committed; `{unseal} --beacon VALUE` opens it with the value of {beacon['round']}")


def _sitting(spent: dict[str, float]) -> str:
    """How the seconds of this session were spent."""
    names = {
        "start_s": "starting, hidden states",
        "climb_s": "climbing",
        "gate_s": "waiting for the gate",
        "test_s": "sealed test",
        "total_s": "in all",
    }
    return ", ".join(f"{spent[k]:.0f} s {name}" for k, name in names.items() if k in spent)


def _against(s: dict[str, Any]) -> list[str]:
    """The champion against every baseline on the same sealed draws, best baseline first."""
    order = sorted(s["baselines"], key=lambda n: -s["baselines"][n])
    rows = [["baseline", "value", "champion is better by"]]
    rows += [[n, f"{s['baselines'][n]:.3f}", interval(s["gains"][n])] for n in order]
    return [table(rows)]


def submission(r: dict[str, Any]) -> str:
    lines = [f"candidate     {r['candidate'][:12]}", f"outcome       {r['outcome']}"]
    if r["dev"] is not None:
        dev = r["dev"]
        value = told(dev["value"], dev["se"], 3)
        lines.append(f"dev           {value} over {dev['draws']} draws (practice data)")
    if r["message"]:
        lines.append(f"message       {clean(r['message'])}")
    lines += [f"incident      {i['kind']} ({i['severity']}): {clean(i['evidence'])}" for i in r["incidents"]]
    return "\n".join([*lines, protection(r["protection"])])


def verification(r: dict[str, Any]) -> str:
    words = {True: "ok", False: "DIFFERS", None: "-"}
    rows = [[words[c["ok"]], c["name"], clean(c["why"])] for c in r["checks"]]
    wrong = [c["name"] for c in r["checks"] if c["ok"] is False]
    if wrong == ["report"]:
        end = "this run is what it says; its report is not"
    elif wrong == ["task"]:
        end = "this run cannot be judged: the task here differs from the one that it was made on"
    elif wrong:
        end = "this run is not what it says"
    elif r["recorded"] is None:
        end = "nothing differs; what is hidden can be checked once the test is opened"
    else:
        end = "this run is what it says"
    run, here = r["versions"].values()
    other = [f"the run was made by toprope {run}, this is {here}"] if run not in (None, here) else []
    return "\n".join([table(rows), *other, end])


def doctor(r: dict[str, Any]) -> str:
    """The best tier, then every tier that was tested: what holds, what is missing, how to repair it."""
    lines = [f"tier: {r['tier']}", *(f"{name}: {path}" for name, path in r["paths"].items() if path)]
    for tier, tried in r["tiers"].items():
        rows = [["ok" if v["ok"] else "MISSING", name, clean(v["detail"])] for name, v in tried["layers"].items()]
        mend = [f"  {name}: {v['remedy']}" for name, v in tried["layers"].items() if not v["ok"] and v.get("remedy")]
        holds = "holds" if tried["ok"] else "does not hold here"
        lines += ["", f"{tier} {holds}", table(rows), *(["to repair:", *mend] if mend else [])]
    return "\n".join(lines)


def check(r: dict[str, Any]) -> str:
    rows = [["", "check", "value", "limit", "why"]]
    rows += [
        [
            "ok" if c["ok"] else "advice" if c["advice"] else "NO",
            c["name"],
            f"{c['value']:g}",
            f"{c['limit']:g}",
            clean(c["why"]),
        ]
        for c in r["checks"]
    ]
    known = [f"a stranger can read: {s}" for s in r["public_secrets"]]
    verdict = "admitted" if r["admitted"] else "not admitted"
    return "\n".join([table(rows), *known, f"{r['task']}: {verdict}"])


def bench(r: dict[str, Any]) -> str:
    rows = [["figure", "value", "limit", "detail"]]
    for name, f in r.items():
        rows.append([name, f"{f['value']:.4g} {f['unit']}", f"{f['limit']}", f["detail"]])
    return table(rows)


def bench_task(r: dict[str, Any]) -> str:
    """The rate, and a bar for each part of an experiment's cost."""
    whole = sum(r["cpu_s"].values())
    rows = [["part", "ms CPU", "share", ""]]
    for name, seconds in r["cpu_s"].items():
        rows.append([name, f"{1e3 * seconds:.2f}", f"{seconds / whole:.0%}", "█" * round(30 * seconds / whole)])
    return "\n".join(
        [
            f"{r['task']}: {r['experiments_per_cpu_s']:.1f} experiments per CPU second over {r['experiments']:,} "
            f"experiments ({1e3 * whole:.1f} ms each, {r['draws']:.1f} practice draws each, {r['attempts']} attempts)",
            table(rows),
            f"a million experiments: {r['hours_of_a_million_on_one_core']:.1f} hours of one core",
        ]
    )


def forecast(r: dict[str, Any]) -> str:
    """What a long climb would take, what limits it, and what was assumed."""
    hours = r["hours"]
    words = {"coordinator": "the run process", "gate": "hidden work on the hub", "blocks": "blocks per rung"}
    limits = [f"{words[k]} at {v:,.0f} cores" for k, v in r["saturates"].items() if v is not None]
    shares = ", ".join(f"{name} {1000 * v:.3g} ms" for name, v in r["cpu_s"].items())
    lines = [
        f"{r['experiments']:,.0f} experiments of {r['task']} on {r['cores']:,} cores, {r['hub_cores']} for the hub",
        f"time          {hours:,.1f} hours" + (f" ({hours / 24:,.1f} days)" if hours > 48 else ""),
        f"CPU           {1000 * r['cpu_s_per_experiment']:.3g} ms an experiment: {shares}",
        f"no faster     than on {r['saturates_at_cores']:,} cores: {'; '.join(limits)}",
        f"run process   {100 * r['coordinator_load']:.0f} % of a core, {r['memory_bytes'] / 1e9:,.2f} GB of memory",
        f"ledger        {r['ledger_bytes'] / 1e9:,.3f} GB",
    ]
    if r["money"] is not None:
        lines.append(f"money         {r['money']:,.2f}")
    if r["experiments"] > r["points"]:
        lines.append(f"but           its space has {r['points']:,.0f} points; a climb ends when it has tried them all")
    return "\n".join([*lines, "assumed", *(f"  {a}" for a in r["assumptions"])])


def reference(r: dict[str, Any]) -> str:
    """A table in Markdown."""
    splits = [name for name in r["rows"][0] if name not in ("candidate", "gain")]
    lines = [f"| candidate | {' | '.join(splits)} | over the {r['against']} |", "|---" * (len(splits) + 2) + "|"]
    for row in r["rows"]:
        cells = []
        for e in (row[split] for split in splits):
            failed = f", fails on {e['failed']}" if e["failed"] else ""
            cells.append(f"{e['value']:.3f} [{e['lo']:.3f}, {e['hi']:.3f}]{failed}")
        gain = "{value:+.3f} ± {se:.3f}".format(**row["gain"])
        lines.append(f"| {row['candidate']} | {' | '.join(cells)} | {gain} |")
    return "\n".join(lines)


def transfer(r: dict[str, Any]) -> str:
    """The two rank correlations, the pressure curve and the best methods of the other task."""
    source, target = r["tiers"]
    lines = [f"{len(r['methods'])} methods on {r['draws']} draws of {source} and of {target}"]
    for name, words in (("spearman", "rank correlation, all methods"), ("top_quartile", "in the best quarter")):
        lines.append(
            f"  {words}: {r[name]['value']:.2f} [{r[name]['lo']:.2f}, {r[name]['hi']:.2f}], n = {r[name]['methods']}"
        )
    rows = [["best by dev after", source, target]]
    rows += [[f"{p['experiments']:,} experiments", _span(p["source"]), _span(p["target"])] for p in r["pressure"]]
    lines += ["", table(rows), "", f"{target} rose last at {r['stops_at']:,} experiments."]
    best = sorted(r["methods"], key=lambda m: -m["target"]["value"])[:8]
    rows = [["best there", source, target], *([clean(m["name"]), _span(m["source"]), _span(m["target"])] for m in best)]
    return "\n".join([*lines, "", table(rows)])


def _span(e: dict[str, float]) -> str:
    return f"{e['value']:.3f} [{e['lo']:.3f}, {e['hi']:.3f}]"


def tuned(r: dict[str, Any]) -> str:
    rows = [f"{name}: dev {found['dev']:.4f}, {found['params']}" for name, found in r["tuned"].items()]
    return "\n".join([*rows, r["path"]])


def hackrate(r: dict[str, Any]) -> str:
    """One table per unit, then the refused calls. Names of models and directions are foreign text."""
    lines = [f"{r['conversations']} conversations of {r['runs']} runs, {r['experiments']} experiments; 95 % intervals"]
    for unit, groups in r["groups"].items():
        counted = [name for name in ("certain", "advisory", "hunting") if groups and name in groups[0]]
        rows = [[f"per {unit[:-1]}", "", "n", *counted]]
        for g in groups:
            shares = [f"{g[c]['k']}  {g[c]['rate']:.2f} [{g[c]['lo']:.2f}, {g[c]['hi']:.2f}]" for c in counted]
            rows.append([g["by"], clean(g["group"])[: 12 if g["by"] == "wording" else 40] or "-", str(g["n"]), *shares])
        lines += ["", table(rows)]
    refused = ", ".join(f"{n} {kind}" for kind, n in r["calls"].items() if kind != "all")
    lines += ["", f"refused of {r['calls']['all']} tool calls: {refused}"]
    if "transcripts" in r:
        lines.append(clean(f"transcripts: {r['transcripts']}"))
    return "\n".join(lines)


def brief(r: dict[str, Any]) -> str:
    return f"{len(r['files'])} files in {r['directory']}{'; ' * bool(r['secret'])}{r['secret']}; begin with README.md"


def runs(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no runs here; `toprope climb TASK` makes one, `toprope ls FOLDER` lists another folder"
    shown = [["run", "task", "climber", "experiments", "state", "champion", "value"]]
    for r in rows:
        value = "-" if r["value"] is None else f"{r['value']:.3f}"
        named = [r["task"] or "-", r["climber"] or "-", str(r["experiments"]), r["state"]]
        shown.append([r["run"], *named, (r["champion"] or "-")[:12], value])
    return table(shown, "")


def written(r: dict[str, Any], folder: str) -> str:
    files = ", ".join(r["files"])
    return f"champion {r['champion']['candidate'][:12]}: {files} in {folder}; `toprope submit {r['task']} {folder}`"


def kept(r: dict[str, Any]) -> str:
    """What toprope keeps on this machine, with sizes."""
    rows = [[k["what"], f"{k['bytes'] / 1e6:.1f} MB", k["path"]] for k in r["listed"]]
    last = f"{r['freed'] / 1e6:.1f} MB of caches removed" if r["freed"] else "`toprope clean --caches` removes caches"
    return "\n".join([table(rows, ""), last])


def scaffold(task_id: str, folder: str) -> str:
    where = clean(folder)
    rows = [
        [f"{where}/task.py", "draws, the questions to a candidate, the score"],
        [f"{where}/task.toml", "description, limits, numbers of draws"],
        [f"{where}/starter/", "the candidate that every climb begins with"],
        [f"{where}/baselines/", "methods to beat, one folder each"],
    ]
    steps = [f"toprope check {where}", f"toprope climb {where} --minutes 1 --unseal", f"toprope redteam {where}"]
    return "\n".join([f"{task_id}: a working task, to be changed", table(rows), "next:", *(f"  {s}" for s in steps)])
