#!/usr/bin/python3
"""What our Kubernetes manifests promise, held against the files. Prints one line for each promise that is broken.

manifest_rules.py FOLDER             the promises
manifest_rules.py FOLDER --configs   the runtail.yaml of each ConfigMap, as JSON: {"name": "text"}
manifest_rules.py FOLDER --env       the literal RUNTAIL_ variables of all containers, one NAME=VALUE a line
"""
import json
import pathlib
import sys

import yaml

broken = []


def expect(holds, where, what):
    if not holds:
        broken.append(f"{where}: {what}")


def pod_of(document):
    return document["spec"]["template"]["spec"] if document["kind"] in ("Job", "Deployment", "DaemonSet") else None


def check_container(where, container, pod, is_worker):
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    expect(security.get("allowPrivilegeEscalation") is False, where, "may gain privileges")
    expect(security.get("readOnlyRootFilesystem") is True, where, "its root can be written")
    expect(security.get("capabilities", {}).get("drop") == ["ALL"], where, "keeps capabilities")
    expect(security.get("seccompProfile", {}).get("type") == "RuntimeDefault", where, "has no seccomp profile")
    expect("memory" in container.get("resources", {}).get("limits", {}), where, "has no memory limit")
    expect(not container["image"].endswith(":latest") and ":" in container["image"], where, "its image has no version")
    for variable in container.get("env", []):
        expect("secretKeyRef" not in variable.get("valueFrom", {}), where, f"{variable['name']} is a secret: use a file")
        expect("PASSWORD" not in variable["name"] or variable["name"].endswith("_FILE"), where, "a password in a variable")
    known = {volume["name"] for volume in pod.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        expect(mount["name"] in known, where, f"mounts {mount['name']}, which is no volume")
    names = {port["name"] for port in container.get("ports", [])}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        port = container.get(probe, {}).get("httpGet", {}).get("port")
        expect(port is None or port in names, where, f"{probe} asks port {port}, which has no name here")
    expect(is_worker or container["image"].startswith("runtail:"), where, "is not our image")


def check(path, document):
    where = f"{path.name}: {document['kind']} {document['metadata']['name']}"
    pod = pod_of(document)
    if pod is None:
        return
    expect(pod.get("automountServiceAccountToken") is False, where, "has a token of the cluster")
    expect(pod.get("terminationGracePeriodSeconds", 30) >= 15, where, "is ended before it is durable")
    reads_node = any("hostPath" in volume for volume in pod.get("volumes", []))
    expect(reads_node or pod["securityContext"].get("runAsNonRoot") is True, where, "runs as root")
    for volume in pod.get("volumes", []):
        empty = volume.get("emptyDir")
        expect(empty is None or "sizeLimit" in empty, where, f"volume {volume['name']} has no bound")
        expect(volume["name"] != "logs" or empty == {**empty, "medium": "Memory"}, where, "raw lines lie on a disk")
    for container in pod.get("initContainers", []):
        inside = f"{where}: {container['name']}"
        check_container(inside, container, pod, is_worker=False)
        if container.get("restartPolicy") == "Always":
            expect("readinessProbe" not in container, inside, "a sidecar's readiness takes its worker out of service")
            expect("startupProbe" in container and "livenessProbe" in container, inside, "is not watched")
    for container in pod["containers"]:
        check_container(f"{where}: {container['name']}", container, pod, container["name"] == "worker")


def main():
    folder = pathlib.Path(sys.argv[1])
    documents = [(path, document) for path in sorted(folder.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())]
    kinds = {document["kind"] for _, document in documents}
    if "--configs" in sys.argv:
        maps = {d["metadata"]["name"]: d["data"]["runtail.yaml"] for _, d in documents if d["kind"] == "ConfigMap"}
        print(json.dumps(maps))
        return 0
    if "--env" in sys.argv:
        for _, document in documents:
            pod = pod_of(document) or {}
            for container in pod.get("initContainers", []) + pod.get("containers", []):
                for variable in container.get("env", []):
                    if variable["name"].startswith("RUNTAIL_") and "value" in variable:
                        print(f"{variable['name']}={variable['value']}")
        return 0
    for path, document in documents:
        if document["kind"] != "Kustomization":
            check(path, document)
        else:
            for resource in document["resources"]:
                expect((folder / resource).is_file(), path.name, f"{resource} does not exist")
    expect({"Job", "Deployment", "DaemonSet", "NetworkPolicy"} <= kinds, folder.name, f"only {sorted(kinds)}")
    print("\n".join(broken), end="\n" if broken else "")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
