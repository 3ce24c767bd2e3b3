#!/bin/sh
# Makes a virtual environment and installs the project with everything that requirements.lock pins.
# Usage: make_venv.sh FOLDER; the variable PYTHON names the interpreter to use.
set -eu
venv=$1

fail() {
    echo "make: $1" >&2
    exit 1
}

fits() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or 3.12"
    python=$PYTHON
else
    python=
    for candidate in python3.12 python3.11 python3; do
        if fits "$candidate"; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || fail "Python 3.11 or 3.12 is needed; install it with: sudo apt-get install python3.11 python3.11-venv"
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv; install it with: sudo apt-get install python$version-venv"

if [ ! -x "$venv/bin/python" ] || ! fits "$venv/bin/python"; then
    echo "Making $venv with Python $version"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
echo "Installing what requirements.lock pins (a few minutes the first time)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
