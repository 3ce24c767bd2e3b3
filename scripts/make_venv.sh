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

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

same_version() {
    [ "$("$1" -c "$print_version")" = "$("$2" -c "$print_version")" ]
}

print_version='import sys; print("%d.%d" % sys.version_info[:2])'
python=
without_venv=
if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or 3.12"
    candidates=$PYTHON
else
    candidates="python3.12 python3.11 python3"
fi
for candidate in $candidates; do
    if fits "$candidate"; then
        if has_venv "$candidate"; then
            python=$candidate
            break
        fi
        without_venv=$candidate
    fi
done
if [ -z "$python" ] && [ -n "$without_venv" ]; then
    version=$("$without_venv" -c "$print_version")
    fail "$without_venv has no venv; install it with: sudo apt-get install python$version-venv"
fi
[ -n "$python" ] || fail "no Python 3.11 or 3.12 here; install one (Debian 12: sudo apt-get install python3.11 python3.11-venv) or name it: make setup PYTHON=/path/to/python3.12"

if [ ! -x "$venv/bin/python" ] || ! fits "$venv/bin/python" || ! same_version "$python" "$venv/bin/python"; then
    echo "Making $venv with Python $("$python" -c "$print_version")"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
pip_install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
echo "Installing what requirements.lock pins (a minute or two the first time)"
# uv takes half of pip's time. It comes by its hashes too: its lines of the lock file, each of which but the last ends in "\".
sed -n '/^uv==/,/[^\\]$/p' requirements.lock > "$venv/uv.lock"
if ! { pip_install --require-hashes -r "$venv/uv.lock" &&
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --compile-bytecode --require-hashes -r requirements.lock; }; then
    # As where pip's own configuration alone names the index.
    echo "make: uv could not (above says why); pip installs instead, which takes a few minutes" >&2
    pip_install --require-hashes -r requirements.lock
fi
pip_install --no-deps --no-build-isolation --editable .
"$venv/bin/python" -m keras_model.download ||
    echo "make: goes on without the pre-trained network; what stands on it (the network that ships; train.py --model probe, finetuned, reprogrammed) says so" >&2
