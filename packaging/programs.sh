# Sourced by what packs the programs, in the project's folder: builds them unless a folder with them is given, and sets `programs`,
# `version` and `output`.
programs=${1:-}
if [ -z "$programs" ]; then
    dev/build-release.sh
    programs=.build/release
fi
version=$("$programs/connectord" --version)
output=.build/package
mkdir -p "$output"
