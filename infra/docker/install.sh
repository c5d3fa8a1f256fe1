#!/bin/sh
# Fills PREFIX, the environment of the image: `install.sh requirements PREFIX`, then `install.sh package PREFIX`.
# Two steps, so that a change of our own code leaves the layer with the requirements as it is. Run in the
# repository's root; the Dockerfile runs nothing else to install, and a test runs the same into another prefix.
# REQUIREMENTS names a file of requirements/: image.txt, or spark.txt, with which an executor can start as well.
set -eu
step=$1
prefix=$2
requirements=requirements/${REQUIREMENTS:-image.txt}

# A sixth of it all is nobody's here: the tests of the large libraries, the schemas of earlier Kubernetes versions.
prune() {
    for library in matplotlib numpy pandas pyarrow scipy sklearn; do
        find "$1/$library" -type d -name tests -prune -exec rm -rf {} +
    done
    schemas=$1/kubernetes_validate/kubernetes-json-schema
    newest=$(ls "$schemas" | sort -V | tail -1)
    find "$schemas" -mindepth 1 -maxdepth 1 ! -name "${newest%-strict}*" -exec rm -rf {} +
}

uv=$(command -v uv || echo /opt/tools/bin/uv)
if [ ! -x "$uv" ]; then
    python3 -m venv /opt/tools
    /opt/tools/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements/uv.txt
fi
export VIRTUAL_ENV="$prefix"

case $step in
requirements)
    "$uv" venv -q --python "$(command -v python3)" "$prefix"
    "$uv" pip sync -q --require-hashes "$requirements"
    prune "$prefix"/lib/python3.*/site-packages
    # Compiled here, because in a pod neither may the user write beside the modules nor is there time to.
    "$uv" pip sync -q --require-hashes --compile-bytecode "$requirements"
    ;;
package)
    built=$(mktemp -d)
    trap 'rm -rf "$built"' EXIT
    # What builds it is locked as well, and stays out of the image.
    "$uv" build -q --wheel --build-constraints requirements/dev.txt --require-hashes --out-dir "$built" .
    "$uv" pip install -q --no-deps --compile-bytecode "$built"/*.whl
    # By this name Spark starts an executor, whatever the image's entry point is.
    if [ -d "$(echo "$prefix"/lib/python3.*/site-packages/pyspark)" ]; then
        install -m 755 infra/docker/executor.sh "$prefix/bin/executor"
    fi
    # uv's own, which anybody may write.
    rm -f "$prefix/.lock"
    ;;
*)
    echo "usage: install.sh requirements|package PREFIX" >&2
    exit 2
    ;;
esac
