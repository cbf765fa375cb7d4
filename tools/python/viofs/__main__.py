# SPDX-License-Identifier: LGPL-2.1-or-later
"""viofs python: a share at an interactive prompt."""

import argparse
import code
import contextlib
import sys

import viofs

BANNER = """libviofs {version}, Python {python}. {what}
  device   {device}
  share    calls on names: share.listdir("/"), share.read_file("x"), share.open("x"), ...
  raw      FUSE requests: raw.lookup(nodeid=1, name="x"), viofs.OPS
  viofs    the module; help(viofs), help(share)
Ctrl-D ends, and gives the device back."""


def arguments(argv):
    """The command line."""
    parser = argparse.ArgumentParser(prog="viofs python",
                                     description="Python with a share: the names device, share and "
                                                 "raw "
                                     "are there. Without SOURCE only the module is.")
    parser.add_argument("-c", "--command", action="append", default=[],
                        help="run this instead of asking; may be repeated")
    parser.add_argument("--no-bind", action="store_true",
                        help="refuse a device that another driver has")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS",
                        help="a device that does not answer for so long is given up (120; 0 = "
                             "never); Ctrl-C ends a wait")
    parser.add_argument("--small-pages", action="store_true", help="use no hugepages")
    parser.add_argument("--unsafe-noiommu", action="store_true",
                        help="with no IOMMU: the device can reach all memory")
    parser.add_argument("source", nargs="?",
                        help="a tag, tag:NAME, a PCI address or vhost-user:PATH")
    return parser.parse_args(argv)


def names(args, stack):
    """What the prompt knows."""
    known = {"__name__": "__console__", "__doc__": None, "viofs": viofs}
    if args.source:
        device = stack.enter_context(viofs.open(args.source, bind=not args.no_bind,
                                                small_pages=args.small_pages,
                                                unsafe_noiommu=args.unsafe_noiommu,
                                                timeout_ms=round(args.timeout * 1000)))
        share = stack.enter_context(device.session())
        known.update(device=device, share=share, raw=stack.enter_context(share.raw()))
    return known


def prompt(known):
    """Ask and run, with history and completion where there is readline."""
    with contextlib.suppress(ImportError):
        import readline  # pylint: disable=import-outside-toplevel
        import rlcompleter  # pylint: disable=import-outside-toplevel
        readline.set_completer(rlcompleter.Completer(known).complete)
        readline.parse_and_bind("tab: complete")
    device = known.get("device")
    banner = BANNER.format(version=".".join(map(str, viofs.version())),
                           python=sys.version.split()[0],
                           what="A share:" if device else "No SOURCE was given: there are no "
                                                          "device, share and raw.",
                           device=device)
    code.interact(banner, local=known, exitmsg="")


def main(argv=None):
    """The exit status."""
    args = arguments(argv)
    try:
        with contextlib.ExitStack() as stack:
            known = names(args, stack)
            try:
                for command in args.command:
                    # pylint: disable=exec-used # what the user asks for
                    exec(compile(command, "<command>", "exec"), known)
                if not args.command:
                    prompt(known)
            finally:
                known.clear()
    except viofs.Error as e:
        print(f"viofs python: {e.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
