# What tests/run and tests/long share: how a step is told, and the tools that the tests need. To be sourced.
#
# The tests are given BURSAR_RECORDED, BURSAR_TEST_PYTHON (a Python with the packages below), BURSAR_TEST_LITELLM (the
# proxy's program) and BURSAR_TEST_NODE_MODULES (a folder with the packages below), each unset where it could not be had.
# shellcheck shell=bash
exec </dev/null # nothing here may ask
export GIT_TERMINAL_PROMPT=0

nextest=0.9.143
deny=0.20.2
python_packages=(
  openai==2.54.0 httpx==0.28.1 anthropic==2.12.0 httpx2==2.16.2 google-genai==3.4.0 langchain-openai==1.7.3
  prometheus_client==0.26.0
)
litellm='litellm[proxy]==1.106.2'
node_packages=(
  openai@6.49.0 undici@7.30.2 @anthropic-ai/sdk@1.12.0 ai@6.0.326 @ai-sdk/openai@3.0.141
  @ai-sdk/openai-compatible@2.0.87
)
node_oldest=v20.18.1 # what that undici runs on

tools=${BURSAR_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/bursar-tests}
mkdir -p "$tools"
tools=$(realpath "$tools")
export PATH=$tools/cargo/bin:$PATH

# --- telling ---------------------------------------------------------------------------------------------------------

step='' began=0 times=() skipped=()

# begin NAME: the heading of a step, and the end of the one before.
begin() {
  finish
  step=$1 began=$SECONDS
  printf '\n=== %s\n' "$step"
}

finish() {
  [ -n "$step" ] || return 0
  times+=("$(printf '%5d s  %s' $((SECONDS - began)) "$step")")
  step=''
}

# skip WHAT WHY
skip() {
  skipped+=("$1: $2")
  printf 'skipped: %s: %s\n' "$1" "$2"
}

closing() {
  local status=$? failed=$step
  finish
  printf '\n=== Summary\n'
  printf '%s\n' "${times[@]}"
  printf 'skipped: %s\n' "${skipped[@]:-nothing}"
  if [ "$status" != 0 ]; then
    printf 'FAILED: %s (status %s)\n' "${failed:-$0}" "$status"
  else
    printf 'passed in %s s\n' "$SECONDS"
  fi
}
trap closing EXIT

has() { command -v "$1" >/dev/null 2>&1; }

# --- installing ------------------------------------------------------------------------------------------------------

# packages COMMAND PACKAGES…: Debian's packages, where the command that stands for them fails.
packages() {
  local probe=$1
  shift
  bash -c "$probe" >/dev/null 2>&1 && return
  if [ "$(id -u)" != 0 ] || ! has apt-get; then
    skip "$*" "not installed, and only root on Debian could do it here"
    return
  fi
  export DEBIAN_FRONTEND=noninteractive
  [ -n "${updated:-}" ] || apt-get -qq update || true
  updated=1
  apt-get -qq -y --no-install-recommends install "$@" >"$tools/apt.log" 2>&1 || skip "$*" "apt-get failed, see $tools/apt.log"
}

# cargo_tool NAME VERSION: a cargo subcommand, where the machine has none of that name.
cargo_tool() {
  cargo "$1" --version >/dev/null 2>&1 && return
  echo "building cargo-$1 $2, a few minutes, once"
  env -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$tools/cargo" --version "$2" "cargo-$1" || true
}

# once FOLDER CONTENT COMMAND…: runs the command for a fresh folder, unless the folder is there for that very content.
once() {
  local folder=$tools/$1 content=$2
  shift 2
  [ "$(cat "$folder/.content" 2>/dev/null)" = "$content" ] && return
  rm -rf "$folder"
  "$@" && echo "$content" >"$folder/.content"
}

# python_environment FOLDER PACKAGES…: a virtual environment with these.
python_environment() {
  local folder=$tools/$1
  shift
  python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

node_clients() {
  mkdir -p "$tools/node" &&
    npm install --prefix "$tools/node" --no-audit --no-fund --loglevel=error --ignore-scripts "${node_packages[@]}"
}

begin "tools"
packages 'curl --version' curl
packages 'php -r "exit(extension_loaded(\"curl\") ? 0 : 1);"' php-cli php-curl
packages 'python3 -c "import venv, ensurepip"' python3 python3-venv
packages 'node --version && npm --version' nodejs npm
packages 'systemd-analyze --version' systemd
cargo_tool nextest "$nextest"
cargo_tool deny "$deny"

unset BURSAR_TEST_PYTHON BURSAR_TEST_NODE_MODULES BURSAR_TEST_LITELLM
python=$(python3 --version 2>&1 || true)
if once python "$python ${python_packages[*]}" python_environment python "${python_packages[@]}"; then
  export BURSAR_TEST_PYTHON=$tools/python/bin/python
else
  skip "Python clients" "${python_packages[*]} could not be installed"
fi
# Apart, because it wants versions of its own of what the clients are.
if once litellm "$python $litellm" python_environment litellm "$litellm"; then
  export BURSAR_TEST_LITELLM=$tools/litellm/bin/litellm
else
  skip "LiteLLM" "$litellm could not be installed"
fi
node_version=$(node --version 2>/dev/null || echo v0)
if [ "$(printf '%s\n' "$node_oldest" "$node_version" | sort -V | head -n 1)" != "$node_oldest" ]; then
  skip "Node clients" "${node_packages[*]} want node $node_oldest or later"
elif once node "${node_packages[*]}" node_clients; then
  export BURSAR_TEST_NODE_MODULES=$tools/node/node_modules
else
  skip "Node clients" "${node_packages[*]} could not be installed"
fi

recorded=${BURSAR_RECORDED:-../shared/recorded}
unset BURSAR_RECORDED
if [ -d "$recorded" ]; then
  BURSAR_RECORDED=$(realpath "$recorded")
  export BURSAR_RECORDED
else
  skip "recorded traffic" "no folder $recorded"
fi
