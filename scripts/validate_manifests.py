"""Checks every file below a folder of manifests against its schema, strictly: an unknown field is an error.

Kubernetes' own kinds by kubernetes-validate, custom resources by the schemas of their definitions.
Prints one line a mistake, `file:line: kind name: field: message`, and ends with 1 if there was any.

    validate_manifests.py KUBERNETES_VERSION SCHEMAS_FOLDER MANIFESTS_FOLDER
"""

import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key that comes twice is an error, as it is for the API server."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} comes twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def strict(schema):
    """The same schema, refusing fields that it does not name, as `kubectl apply --validate=strict` does."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


def custom_schemas(folder):
    """(apiVersion, kind) to schema, of every custom resource definition in the folder."""
    schemas = {}
    for file in sorted(folder.glob("*.yaml")):
        for definition in yaml.load_all(file.read_text(), UniqueKeyLoader):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"])
                # The API server's own part, which definitions leave open.
                schema["properties"]["metadata"] = {"type": "object"}
                schemas[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return schemas


def mistakes(document, schemas, version):
    """(field, message) of everything that is wrong in one document."""
    key = document.get("apiVersion"), document.get("kind")
    if key in schemas:
        for error in jsonschema.Draft7Validator(schemas[key]).iter_errors(document):
            yield ".".join(map(str, error.absolute_path)), error.message
        return
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield ".".join(map(str, error.path)), error.message
    except kubernetes_validate.SchemaNotFoundError:
        yield "kind", f"no schema for {key[0]} {key[1]}"


def kustomization_mistakes(file, document):
    """Resources that are listed and not there, or there and not listed."""
    listed = set(document.get("resources", []))
    present = {path.name for path in file.parent.glob("*.yaml")} - {file.name}
    for name in sorted(listed - present):
        yield "resources", f"{name} does not exist"
    for name in sorted(present - listed):
        yield "resources", f"{name} is not listed"


def check(file, schemas, version):
    text = file.read_text()
    if file.suffix == ".json":
        json.loads(text)
        return
    loader = UniqueKeyLoader(text)
    while loader.check_node():
        node = loader.get_node()
        line = node.start_mark.line + 1
        document = loader.construct_document(node)
        if document.get("kind") == "Kustomization":
            found = kustomization_mistakes(file, document)
        else:
            found = mistakes(document, schemas, version)
        name = document.get("metadata", {}).get("name", "")
        for field, message in found:
            yield f"{file}:{line}: {document.get('kind')} {name}: {field}: {message}"


def main():
    version, schemas_folder, manifests = sys.argv[1:]
    schemas = custom_schemas(pathlib.Path(schemas_folder))
    files = [file for file in sorted(pathlib.Path(manifests).rglob("*")) if file.suffix in (".yaml", ".json")]
    if not files:
        sys.exit(f"{manifests}: no manifests found")
    failed = False
    for file in files:
        try:
            for line in check(file, schemas, version):
                print(line)
                failed = True
        except (yaml.YAMLError, json.JSONDecodeError) as error:
            print(f"{file}: {error}")
            failed = True
    print(f"{len(files)} files checked")
    sys.exit(failed)


main()
