"""The page on deploying, typed as it stands on a copy of this machine on which systemd runs as it does on any other.

The copy is an overlay that goes when the test ends, with processes, mounts and network of its own.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
from pathlib import Path

import pytest

from tests.deploying.nginx import NGINX
from tests.live_server import ROOT
from tests.project.pages import blocks
from tests.waiting import wait_until

SYSTEMD = Path("/lib/systemd/systemd")
PAGE = ROOT / "docs" / "deploying.md"

#: What pip does without a network: the packages of these tests become those of the new environment.
_PIP = """\
site=$(echo /opt/flowrunner/lib/python3*/site-packages)
printf '%s\\n' /opt/source /opt/source/plugins /opt/site > "$site/tests.pth"
for name in flowrunner:flowrunner.cli:main gunicorn:gunicorn.app.wsgiapp:run; do
    IFS=: read -r program module function <<< "$name"
    printf '#!/opt/flowrunner/bin/python3\\nimport sys\\nfrom %s import %s\\nsys.exit(%s())\\n' \\
        "$module" "$function" "$function" > "/opt/flowrunner/bin/$program"
    chmod 755 "/opt/flowrunner/bin/$program"
done
"""

_BOOT = """\
set -euo pipefail
mount -t tmpfs tmpfs {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
root={place}/root
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -t tmpfs tmpfs $root/run
mount -t tmpfs -o mode=1777 tmpfs $root/tmp
mount -t tmpfs tmpfs $root/dev
for device in null zero full random urandom tty; do
    touch $root/dev/$device; mount --bind /dev/$device $root/dev/$device
done
mkdir $root/dev/shm $root/dev/pts
ln -s /proc/self/fd $root/dev/fd
mount -t tmpfs -o mode=1777 tmpfs $root/dev/shm
mount -t tmpfs cgroups $root/sys/fs/cgroup
mkdir $root/sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroups $root/sys/fs/cgroup/systemd
mkdir -p $root/opt/source $root/opt/site $root/said
mount --bind {source} $root/opt/source
mount --bind {packages} $root/opt/site
mount --bind {said} $root/said
rm -f $root/etc/nginx/sites-enabled/*
ip link set lo up || true
cp {said}/typed.sh $root/opt/typed.sh
cat > $root/etc/systemd/system/typed.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
WorkingDirectory=/opt/source
ExecStart=/bin/bash -euxo pipefail /opt/typed.sh
StandardOutput=append:/said/output
StandardError=append:/said/output
ExecStopPost=/bin/sh -c 'systemctl status flowrunner nginx >> /said/output; echo "$SERVICE_RESULT" > /said/result'
UNIT
# Devices of its own are the one thing that the copy cannot give a service: it has none to make them of.
mkdir -p $root/etc/systemd/system/flowrunner.service.d
printf '[Service]\\nPrivateDevices=no\\n' > $root/etc/systemd/system/flowrunner.service.d/copy.conf
export container=other
exec chroot $root /lib/systemd/systemd --system --unit=typed.service --log-target=null
"""

#: After what is typed: the service keeps what it was given, its process has lost what it does not need, TLS is spoken.
_LOOK = """
curl -sf --cacert /etc/flowrunner/tls/fullchain.pem --resolve flows.example.org:443:127.0.0.1 \
    https://flows.example.org/api/v1/monitor/messages?session_id=first -H "x-api-key: $KEY" > /said/messages
as_service restore /var/lib/flowrunner/before-upgrade --data-dir /var/lib/flowrunner/restored
test "$(stat -c %U:%a /var/lib/flowrunner)" = flowrunner:700
pid=$(systemctl show -P MainPID flowrunner)
grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status > /said/process
! nsenter -t $pid -m touch /etc/flowrunner/flows/x /opt/flowrunner/x
systemctl kill -s KILL flowrunner
for n in $(seq 300); do curl -sf http://127.0.0.1:7860/ready && break || sleep 0.2; done
curl -sf http://127.0.0.1:7860/ready
systemctl stop flowrunner
"""


def _may_copy_the_machine() -> bool:
    """Say whether this is root with namespaces, as it takes."""
    if os.geteuid() != 0 or NGINX is None or not SYSTEMD.exists() or shutil.which("unshare") is None:
        return False
    folders = "lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w"
    trial = f"mount -t tmpfs x /mnt && mkdir /mnt/u /mnt/w /mnt/m && mount -t overlay x -o {folders} /mnt/m"
    return subprocess.run(["unshare", "-mpnf", "sh", "-c", trial], capture_output=True).returncode == 0


@pytest.mark.long
def test_what_the_page_says_works_as_it_is_typed(tmp_path):
    if not _may_copy_the_machine():
        pytest.skip("no copy of this machine can be made: it takes root, nginx, systemd and overlays")
    typed = [block.text for block in blocks(PAGE) if block.elsewhere]
    assert len(typed) >= 7
    text = "\n".join(_PIP if "/bin/pip install" in line else line for block in typed for line in block.splitlines())
    (tmp_path / "typed.sh").write_text(text + _LOOK)
    said, place = tmp_path, tmp_path / "copy"
    place.mkdir()
    packages = next(path for path in site.getsitepackages() if Path(path, "flask").is_dir())
    boot = _BOOT.format(place=place, source=ROOT, packages=packages, said=said)
    command = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--propagation", "private"]
    with (tmp_path / "boot").open("wb") as log:
        machine = subprocess.Popen(
            [*command, "bash", "-c", boot], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        wait_until(lambda: (said / "result").exists() or machine.poll() is not None, 300)
        output = (said / "output").read_text() if (said / "output").exists() else (tmp_path / "boot").read_text()
        assert (said / "result").exists(), output
        assert (said / "result").read_text().strip() == "success", output[-6000:]
    finally:
        machine.kill()
        machine.wait(30)
    assert '"text":"Hello"' in (said / "messages").read_text().replace(": ", ":")
    facts = dict(line.split(":", 1) for line in (said / "process").read_text().splitlines())
    assert "0" not in facts["Uid"].split()
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert (facts["NoNewPrivs"].strip(), facts["Seccomp"].strip()) == ("1", "2")
