# SPDX-License-Identifier: GPL-2.0-or-later
"""Does libvirt's schema take the XML that the docs tell users to put into a domain?

libvirt_xml.py DIRECTORY: of this tree.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

DOCS = ("README.md", "docs/guide.md")
# What belongs into <devices>; README has it beside what belongs into <domain>.
DEVICES = re.compile(r"<(iommu|filesystem)\b.*?</\1>", re.DOTALL)
# A domain of machine q35, as the docs say, with nothing else that matters here.
DOMAIN = """<domain type='kvm'>
<name>guest</name>
<memory unit='GiB'>4</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
%s
<devices>
%s
</devices>
</domain>
"""


def domain(block):
    """A domain with what a block of the docs has."""
    block = block.replace("<devices>", "").replace("</devices>", "")
    devices = "\n".join(match.group(0) for match in DEVICES.finditer(block))
    return DOMAIN % (DEVICES.sub("", block), devices)


def complaint(text):
    """What is wrong with a domain; nothing, mostly."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".xml") as f:
        f.write(text)
        f.flush()
        done = subprocess.run(["virt-xml-validate", f.name, "domain"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout if done.returncode else ""


def main():
    """Each block of each page, and one that is wrong."""
    if not shutil.which("virt-xml-validate"):
        print("SKIP: no virt-xml-validate (package libvirt-clients)")
        return 77
    failed = 0
    for name in DOCS:
        with open(os.path.join(sys.argv[1], name), encoding="utf-8") as f:
            blocks = re.findall(r"^```xml\n(.*?)^```$", f.read(), re.DOTALL | re.MULTILINE)
        if not blocks:
            print(f"{name} has no XML any more")
            failed = 1
        for block in blocks:
            wrong = complaint(domain(block))
            if wrong:
                print(f"{name}: {wrong}")
                failed = 1
            if not complaint(domain(block.replace("<iommu model='intel'", "<iommu model='x'"))):
                print(f"{name}: the schema would take anything")
                failed = 1
    return failed


sys.exit(main())
