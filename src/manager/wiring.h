/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that connects things: what is watched, what wakes whom, which controllers there are.
 * Reading the tables of wiring.c shows every way in which anything can happen in the manager.
 */
#ifndef AK_MANAGER_WIRING_H
#define AK_MANAGER_WIRING_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>

#include "manager/options.h"

/* Runs the manager until it is told to stop. As ak_manager_run(). */
AK_MUST_USE int ak_wiring_run(const struct ak_options *options, struct ak_error **reterr);

#endif
