#!/bin/sh
# Validates this directory, and the templates and the workflow of .github, against schemas, and checks that the values
# fit together. Then it breaks a copy in several ways, because a check that lets everything pass would look the same.
set -eu
cd "$(dirname "$0")/.."
work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/manifests
python=$work/venv/bin/python
if ! cmp -s deploy/requirements.txt "$work/installed.txt"; then
    rm -rf "$work"
    python3 -m venv "$work/venv"
    "$python" -m pip install -q --disable-pip-version-check -r deploy/requirements.txt
    cp deploy/requirements.txt "$work/installed.txt"
fi
PATH=$work/venv/bin:$PATH

try() { # COMMAND…: what it says counts only if it fails
    said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}

check() { # DIRECTORY
    # 1.30 is the first version that knows preStop's `sleep`.
    for version in 1.30 1.37; do
        try kubernetes-validate --strict --quiet -k $version "$1"/kubernetes/*.yaml || return 1
    done
    try check-jsonschema --builtin-schema vendor.compose-spec "$1/compose/compose.yaml" || return 1
    try haproxy -c -f "$1/compose/haproxy.cfg" || return 1
    try hadolint "$1/Dockerfile" || return 1
    try "$python" -B deploy/check.py "$1" || return 1
}

check deploy
try check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
try check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml \
    .github/ISSUE_TEMPLATE/feature.yml .github/ISSUE_TEMPLATE/question.yml
try check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml

broken() { # FILE FROM TO: the manifests with this change have to be refused
    rm -rf "$work/broken"
    cp -r deploy "$work/broken"
    sed -i "s#$2#$3#" "$work/broken/$1"
    if cmp -s "deploy/$1" "$work/broken/$1"; then
        echo "$1 has no '$2' that could be broken" >&2
        exit 1
    fi
    if check "$work/broken" >"$work/said" 2>&1; then
        echo "$1 was not refused with '$3' instead of '$2'" >&2
        exit 1
    fi
    printf '%s with `%s` is refused:\n%s\n' "$1" "${3:-(nothing)}" "$(sed 's/^/    /' "$work/said")"
}

broken kubernetes/deployment.yaml 'terminationGracePeriodSeconds: 40' 'terminationGracePeriodSeconds: 39'
broken kubernetes/deployment.yaml 'value: 20s' 'value: 21s'
broken kubernetes/deployment.yaml 'path: /ready' 'path: /live'
broken kubernetes/deployment.yaml 'periodSeconds: 2' 'periodSeconds: 9'
broken kubernetes/deployment.yaml 'terminationGracePeriodSeconds' 'terminationGracePeriod'
broken kubernetes/deployment.yaml '      terminationGracePeriodSeconds: 40' ''
broken kubernetes/deployment.yaml 'value: 10s' 'value: 10'
broken kubernetes/deployment.yaml 'maxUnavailable: 0' 'maxUnavailable: 1'
broken kubernetes/disruption-budget.yaml 'maxUnavailable: 1' 'minAvailable: 3'
broken kubernetes/service.yaml 'targetPort: http' 'targetPort: web'
broken compose/compose.yaml 'stop_grace_period: 35s' 'stop_grace_period: 34s'
broken compose/compose.yaml 'stop_grace_period' 'stop_grace'
broken compose/haproxy.cfg 'option redispatch 1' 'option redispatched'
broken compose/haproxy.cfg 'maxconn 10000' 'maxconn 33000'
broken compose/haproxy.cfg 'check port 9090' 'check port 8080'
echo 'the manifests are valid'
