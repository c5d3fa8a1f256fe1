#!/bin/sh
# Makes the environment in $1 from requirements/dev.txt, every file checked against its hash.
# Takes uv from the PATH, else installs the locked one into the environment itself.
set -eu
venv=$1

python=
for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "ame-flows needs Python >= 3.11; none of python3, python3.11 to python3.14 is one." >&2
    exit 1
fi

rm -rf "$venv"
if uv=$(command -v uv 2>/dev/null) && "$uv" --version >/dev/null 2>&1; then
    "$uv" venv -q --python "$python" "$venv"
else
    if ! "$python" -m venv "$venv"; then
        echo "'$python -m venv' failed: install its venv package (Debian, Ubuntu: apt install python3-venv)." >&2
        exit 1
    fi
    echo "installing uv ..."
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
    uv=$venv/bin/uv
fi
echo "installing the locked requirements ..."
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
    # Nobody would write it later, and each process would compile its libraries again.
    export UV_COMPILE_BYTECODE=1
fi
VIRTUAL_ENV=$venv "$uv" pip sync -q --require-hashes requirements/dev.txt
VIRTUAL_ENV=$venv "$venv/bin/uv" pip install -q --no-deps --no-build-isolation -e .
