# Windows: runtail has no native agent there; the Linux container runs under Docker Compose.
$ErrorActionPreference = 'Stop'
$compose = Join-Path $PSScriptRoot 'packaging/compose/compose.yaml'
if (-not (Test-Path $compose)) {
  Write-Error "There is no packaging/compose/compose.yaml in this version yet. Run ./demo.sh in WSL (Debian 12) instead."
  exit 4
}
docker compose -f $compose up --build
exit $LASTEXITCODE
