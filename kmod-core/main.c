// SPDX-License-Identifier: GPL-2.0
/*
 * ivring core: module init and exit.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include "internal.h"
#define CREATE_TRACE_POINTS
#include "trace.h"

struct class ivring_class = {
	.name = "ivring",
};

dev_t ivring_devt;

static int __init ivring_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&ivring_devt, 0, IVRING_LINKS_MAX * IVRING_MINORS_PER_LINK,
				  "ivring");
	if (ret)
		return ret;
	ret = class_register(&ivring_class);
	if (ret)
		goto err_unregister_chrdev;
	return 0;

err_unregister_chrdev:
	unregister_chrdev_region(ivring_devt, IVRING_LINKS_MAX * IVRING_MINORS_PER_LINK);
	return ret;
}

static void __exit ivring_exit(void)
{
	class_unregister(&ivring_class);
	unregister_chrdev_region(ivring_devt, IVRING_LINKS_MAX * IVRING_MINORS_PER_LINK);
}

module_init(ivring_init);
module_exit(ivring_exit);

MODULE_DESCRIPTION("Shared-memory rings between a host and its guests: core");
MODULE_AUTHOR("The ivring authors");
MODULE_LICENSE("GPL");
