"""What a release is made of: a CycloneDX bill of materials and the licences of other people's work.

    materials.py TARGET FOLDER MUSL-COPYRIGHT      writes FOLDER/moorline.cdx.json and FOLDER/THIRD-PARTY-LICENSES

Both depend only on Cargo.lock, the sources and the toolchain: no time stamp, no serial number, no path of this machine. Crates
that only tests use are left out. The C library is not a crate, and neither is Rust's own library: both are listed by hand.
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys

PROGRAMS = {"moorline", "moorline-engine"}
LICENSE_FILE = re.compile(r"(?i)^(un)?(licen[cs]e|copying|copyright|notice)")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def linked(metadata):
    """The packages of the programs and all that they depend on, without what only tests use: id to the ids it needs."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    names = {package["id"]: package for package in metadata["packages"]}
    is_program = lambda package: PROGRAMS & {target["name"] for target in package["targets"] if "bin" in target["kind"]}
    waiting = [id for id in metadata["workspace_members"] if is_program(names[id])]
    found = {}
    while waiting:
        id = waiting.pop()
        if id in found:
            continue
        kinds = lambda dependency: {kind["kind"] for kind in dependency["dep_kinds"]}
        found[id] = sorted(dependency["pkg"] for dependency in nodes[id]["deps"] if kinds(dependency) != {"dev"})
        waiting += found[id]
    return {names[id]["name"] + "@" + names[id]["version"]: (names[id], needs) for id, needs in found.items()}, names


def checksums():
    """SHA-256 of each crate as the registry has it."""
    block = re.compile(r'name = "(.+)"\nversion = "(.+)"\n(?:source = .+\nchecksum = "(.+)")?')
    return {f"{name}@{version}": sum for name, version, sum in block.findall(pathlib.Path("Cargo.lock").read_text())}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def bill(packages, names, target, tools):
    sums = checksums()
    components = []
    for key, (package, _) in sorted(packages.items()):
        component = {
            "type": "library" if package["source"] else "application",
            "bom-ref": purl(package),
            "name": package["name"],
            "version": package["version"],
            "purl": purl(package),
            "licenses": [{"expression": package["license"].replace("/", " OR ")}],
        }
        if sums.get(key):
            component["hashes"] = [{"alg": "SHA-256", "content": sums[key]}]
        components.append(component)
    for name, version, license, _ in tools:
        components.append({"type": "library", "bom-ref": name, "name": name, "version": version, "licenses": [{"expression": license}]})
    version = packages_version(packages)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "moorline", "name": "moorline", "version": version},
            "properties": [{"name": "moorline:target", "value": target}],
        },
        "components": components,
        "dependencies": [
            {"ref": purl(package), "dependsOn": sorted({purl(names[id]) for id in needs})}
            for _, (package, needs) in sorted(packages.items())
        ],
    }


def packages_version(packages):
    return next(package["version"] for package, _ in packages.values() if package["name"] == "moorline")


def licenses(packages, tools):
    """Each text once, below the names of all that it belongs to."""
    owners, texts = {}, {}

    def add(owner, text):
        text = "\n".join(line.rstrip() for line in text.strip().splitlines())
        digest = hashlib.sha256(text.encode()).hexdigest()
        texts[digest] = text
        owners.setdefault(digest, set()).add(owner)

    for key, (package, _) in packages.items():
        if not package["source"]:
            continue
        owner = f"{key.replace('@', ' ')} ({package['license']})"
        folder = pathlib.Path(package["manifest_path"]).parent
        files = sorted(path for path in folder.rglob("*") if path.is_file() and LICENSE_FILE.match(path.name))
        for path in files:
            if path.suffix not in {".rs", ".html", ".py", ".sh", ".json"}:
                add(owner, path.read_text(errors="replace"))
        if not files:
            assert "MIT" in package["license"], f"{key} comes without the text of its licence, {package['license']}"
            by = ", ".join(package["authors"]) or f"the authors of {package['name']}"
            text = pathlib.Path("LICENSE-MIT").read_text()
            add(owner, re.sub(r"(?m)^Copyright.*$", f"Copyright (c) {by}", text))
    for name, version, license, text in tools:
        add(f"{name} {version} ({license})", text)
    rule = "=" * 100
    parts = ["moorline contains the work of others, under these licences.\n"]
    for digest, names in sorted(owners.items(), key=lambda item: sorted(item[1])):
        parts.append("\n".join([rule, *sorted(names), rule, "", texts[digest], ""]))
    return "\n".join(parts)


def main(target, folder, musl):
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    packages, names = linked(metadata)
    rust = pathlib.Path(run("rustc", "--print", "sysroot").strip(), "share/doc/rust/licenses")
    rust_text = "\n\n".join((rust / name).read_text() for name in ("MIT.txt", "Apache-2.0.txt"))
    musl_text = pathlib.Path(musl).read_text()
    tools = [
        ("rust-std", run("rustc", "--version").split()[1], "MIT OR Apache-2.0", rust_text),
        ("musl", "of Zig", "MIT", musl_text),
    ]
    folder = pathlib.Path(folder)
    (folder / "moorline.cdx.json").write_text(json.dumps(bill(packages, names, target, tools), indent=1) + "\n")
    (folder / "THIRD-PARTY-LICENSES").write_text(licenses(packages, tools))


main(*sys.argv[1:])
