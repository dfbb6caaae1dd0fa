#!/usr/bin/env bash
# Renders packaging/kubernetes/base, checks each object against Kubernetes' schemas, that selectors and ports lead somewhere, and that the
# program takes the configuration in it. Needs kubectl for the rendering. dev/test-kubernetes.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
connectord=$(realpath "${1:-.build/debug/connectord}")
if ! command -v kubectl >/dev/null; then
    echo "SKIPPED: kubectl is not here"
    exit 0
fi
dev/client-tools.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kubectl kustomize packaging/kubernetes/base >"$work/rendered.yaml"
.build/clients/bin/python - "$work" <<'P'
import sys, yaml, kubernetes_validate
work = sys.argv[1]
objects = list(yaml.safe_load_all(open(f'{work}/rendered.yaml')))
for item in objects:
    kubernetes_validate.validate(item, '1.29', strict=True)
by_kind = lambda kind: [item for item in objects if item['kind'] == kind]
[pods] = by_kind('StatefulSet')
template = pods['spec']['template']
labels, ports = template['metadata']['labels'], {p['name'] for p in template['spec']['containers'][0]['ports']}
matches = lambda selector: selector.items() <= labels.items()
for service in by_kind('Service'):
    assert matches(service['spec']['selector']), service['metadata']['name']
    assert {p['targetPort'] for p in service['spec']['ports']} <= ports, service['metadata']['name']
assert pods['spec']['serviceName'] in {s['metadata']['name'] for s in by_kind('Service') if s['spec'].get('clusterIP') == 'None'}
for kind, key in (('PodDisruptionBudget', 'selector'), ('NetworkPolicy', 'podSelector')):
    [item] = by_kind(kind)
    assert item['spec'][key]['matchLabels'] and matches(item['spec'][key]['matchLabels']), kind
assert {p['port'] for r in by_kind('NetworkPolicy')[0]['spec']['ingress'] for p in r['ports']} == ports
names = {v['name'] for v in template['spec']['volumes']}
for container in template['spec']['containers'] + template['spec']['initContainers']:
    assert {m['name'] for m in container['volumeMounts']} <= names
    assert container['securityContext']['capabilities'] == {'drop': ['ALL']}
[configuration] = by_kind('ConfigMap')
assert configuration['metadata']['name'] in str(template['spec']['volumes'])
open(f'{work}/cloud.conf', 'w').write(configuration['data']['cloud.conf'].replace('/etc/connector-cloud/secrets', work))
print(f'{len(objects)} objects stand')
P
head -c 32 /dev/urandom | base64 >"$work/store-key"
echo secret >"$work/db-password"
"$connectord" check-config --cloud "$work/cloud.conf"
