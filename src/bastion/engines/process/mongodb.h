/* SPDX-License-Identifier: Apache-2.0 */
/* The script that mongosh runs for us. It finds what to do in __agentkube, and prints one line that begins
 * with AK_MONGODB_MARK. */
#ifndef AK_BASTION_ENGINES_PROCESS_MONGODB_H
#define AK_BASTION_ENGINES_PROCESS_MONGODB_H

#define AK_MONGODB_MARK "@agentkube "
/* Connects, and leaves `db`: what sessions begin with. */
extern const char ak_mongodb_connect[];
/* The operations; after the one above. */
extern const char ak_mongodb_operations[];
/* Users and roles; after the first one too. */
extern const char ak_mongodb_provision[];

#endif
