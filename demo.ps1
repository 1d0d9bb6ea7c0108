# Windows: runtail has no native agent there; the Linux container runs under Docker Compose (Docker Desktop).
# Usage: ./demo.ps1           builds the image, starts workers, agent, PostgreSQL, Prometheus, Alertmanager and Grafana
#        ./demo.ps1 password  Grafana's password and a token for the history API
$ErrorActionPreference = 'Stop'
$compose = Join-Path $PSScriptRoot 'packaging/compose/compose.yaml'
if ($args.Count -gt 0 -and $args[0] -eq 'password') {
  docker compose -f $compose run --rm password
} else {
  docker compose -f $compose up --build
}
exit $LASTEXITCODE
