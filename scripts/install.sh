#!/bin/sh
# Makes .venv with everything the project wants of Python.  Harmless to repeat.
set -eu
cd "$(dirname "$0")/.."

for python in python3.13 python3.12 python3.11 python3 ""; do
    if [ -z "$python" ]; then
        echo "Lastgasp needs Python 3.11 or newer, and none was found; on Debian: apt-get install python3-venv" >&2
        exit 1
    fi
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        break
    fi
done

for module in venv ensurepip; do
    "$python" -c "import $module" 2>/dev/null || {
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "$python has no module $module; on Debian: apt-get install python$version-venv" >&2
        exit 1
    }
done

.venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Making .venv with $("$python" --version); the first time takes a few minutes."
    "$python" -m venv --clear .venv
}
.venv/bin/python -m pip install --disable-pip-version-check --retries 10 -e '.[cluster,simbench,test]'
.venv/bin/lastgasp --help >/dev/null
.venv/bin/python -c "import detectors.engine"  # compiles its loops, for all who start it later
touch .venv/.installed
