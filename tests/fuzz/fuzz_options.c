/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line, and a PCI address. Input: words, each ended by a newline. */
#include "fuzz.h"

#include "daemon/options.h"
#include "pci/address.h"

#include <errno.h>

#define WORDS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[WORDS_MAX + 2] = { (char *)"virtiofs-vfio" }, *text = malloc(size + 1), *at;
	struct viofs_pci_address address;
	struct viofs_err err = { .text = "" };
	struct viofs_options o;
	int argc = 1, rc;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	for (at = strtok(text, "\n"); at && argc <= WORDS_MAX; at = strtok(NULL, "\n"))
		words[argc++] = at;
	rc = viofs_options_parse(argc, words, &o, &err);
	fuzz_check(rc == 0 || rc == -EINVAL || rc == -ENOMEM);
	if (rc) {
		fuzz_check(err.text[0]);
	} else if (!o.help && !o.version) {
		fuzz_check(o.source && *o.source && o.mountpoint);
		fuzz_check(o.relay.max_data >= 128 << 10 && o.relay.max_data <= 1 << 20);
		fuzz_check(!(o.relay.max_data % 4096));
		fuzz_check(o.relay.buffers >= 4 && o.relay.buffers <= 1024);
		fuzz_check(o.relay.spin_us <= 1000000 && o.grace_s <= 86400 &&
			   o.restarts <= VIOFS_RESTARTS_MAX);
		fuzz_check(o.relay.init_timeout_ms >= 1000 && o.relay.init_timeout_ms <= 3600000);
		fuzz_check(o.seccomp <= VIOFS_SECCOMP_NONE && o.relay.poll <= VIOFS_POLL_IRQ);
		fuzz_check(o.relay.loop <= VIOFS_LOOP_EPOLL);
		viofs_pci_address_parse(o.source, &address);
	}
	viofs_options_fini(&o);
	free(text);
	return 0;
}
