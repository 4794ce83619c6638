#!/bin/sh
# Make or bring up to date a virtual environment with this package, editable, in it.
#
#   scripts/environment.sh PYTHON FOLDER STAMP TARGET [PIP-ARGUMENT...]
#
# TARGET is what pip installs (`.` or `.[dev]`), STAMP the file to touch when all is there.
# What pip says goes to FOLDER/setup.log and is shown if it fails.
set -eu
python=$1 folder=$2 stamp=$3 target=$4
shift 4

fail() {
    echo "setup: $1" >&2
    exit 2
}

if ! "$folder/bin/python" -c 'import pip' 2>/dev/null; then
    command -v "$python" >/dev/null 2>&1 ||
        fail "there is no '$python' on this machine; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or newer is needed, '$python' is $("$python" -V 2>&1 | cut -d' ' -f2); name another: make PYTHON=python3.12"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "'$python' cannot make virtual environments; install its venv module (on Debian and Ubuntu: apt install python3-venv)"
    echo "Making a virtual environment in $folder ..."
    "$python" -m venv --clear "$folder"
fi
echo "Installing $target into $folder; the first time this downloads a few hundred megabytes ..."
if ! "$folder/bin/python" -m pip install --disable-pip-version-check --no-input \
    -c constraints.txt "$@" -e "$target" </dev/null >"$folder/setup.log" 2>&1; then
    tail -n 25 "$folder/setup.log" >&2
    fail "pip could not install $target into $folder (its whole output: $folder/setup.log)"
fi
touch "$stamp"
