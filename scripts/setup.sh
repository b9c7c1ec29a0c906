#!/usr/bin/env bash
# Makes the virtual environment .venv from a hashed lock file, with uv when present, else with pip.
# usage: scripts/setup.sh requirements.lock
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
python=${PYTHON:-python3}
stamp=.venv/installed-${lock%.lock}

fail() { printf 'setup: %s\nnext: %s\n' "$1" "$2" >&2; exit 2; }

command -v "$python" >/dev/null || fail "no $python on this machine" "install Python 3.11 or newer (Debian: apt-get install python3)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || fail "$("$python" --version) is too old" "install Python 3.11 or newer, or name it: make PYTHON=python3.12"

digest=$(cat "$lock" pyproject.toml | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null || true)" = "$digest" ] && exit 0

if command -v uv >/dev/null; then
    [ -x .venv/bin/python ] || uv venv --quiet --python "$python" .venv
    uv pip install --quiet --python .venv/bin/python --require-hashes -r "$lock"
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
else
    "$python" -c 'import ensurepip, venv' 2>/dev/null \
        || fail "this Python cannot make virtual environments" "install its venv module (Debian: apt-get install python3-venv)"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
fi
printf '%s' "$digest" >"$stamp"
