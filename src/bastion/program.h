/* SPDX-License-Identifier: Apache-2.0 */
/* One program that `bastion client` runs for one connection of the link: bytes both ways, its size, its end.
 * Thread: loop. */
#ifndef AK_BASTION_PROGRAM_H
#define AK_BASTION_PROGRAM_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/net/loop.h>
#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdint.h>

#include "bastion/link.h"
#include "process/family.h"

struct event;
struct ak_program {
    struct ak_loop *loop;
    struct ak_family *family;
    struct bufferevent *link;
    ak_msec grace;
    pid_t pid;                 /* of the leader and its group; 0: not started */
    int input, output, errors; /* -1: closed. A terminal: input and output are the same one */
    struct event *readable[2], *writable;
    struct ak_buf pending; /* input that the program has not taken */
    bool end_of_input, terminal, exited, told;
    bool deserted; /* the link is gone: what it says goes nowhere */
    int status;    /* of waitpid(2) */
    struct {
        char *path;
        int fd; /* holds the lock that says that the file is in use */
    } files[AK_CLIENT_MAX_FILES];
    size_t n_files;
    struct ak_timer
        *timer; /* between TERM and KILL, and for what holds the pipes open after that */
    bool killed;
    void (*over)(
        void *
            user); /* it and its output have ended, and EXIT was written; or the link broke and it is dead */
    void *user;
};
/* Answers STARTED or EXIT on the link. Negative: EXIT was written, there is nothing to end. */
AK_MUST_USE int ak_program_start(struct ak_program *self, const struct ak_link_start *start);
/* A frame for it. Negative: it breaks the rules. */
AK_MUST_USE int ak_program_take(struct ak_program *self, const struct ak_link_frame *frame);
/* The link has room again. */
void ak_program_resume(struct ak_program *self);
/* TERM to its group now, KILL after the grace; `over` comes then. */
void ak_program_end(struct ak_program *self);
bool ak_program_is_over(const struct ak_program *self);
void ak_program_done(struct ak_program *self); /* kills at once what is left */

#endif
