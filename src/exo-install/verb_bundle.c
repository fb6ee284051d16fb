/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exo-install bundle: one archive for a site without a network.
 *
 *     agentkube-VERSION/exo-install        this program
 *     agentkube-VERSION/bundle.json        version, images, SHA-256 of every manifest
 *     agentkube-VERSION/manifests/...      as embedded
 *     agentkube-VERSION/images.txt         every image that the operator can start
 *     agentkube-VERSION/images/x.tar       the archives of --images
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo-install/archive.h"
#include "exo-install/images.h"
#include "exo-install/install.h"
#include "exo-install/manifests.h"

#define TOP "agentkube-" AK_VERSION
#define DEFAULT_FILE TOP ".tar"
#define MAX_PATH 4096
#define MAX_ARCHIVES 256

struct bundle {
    struct ak_install *install;
    struct ak_archive archive;
    json_t *images;   /* references */
    json_t *archives; /* file names in images/ */
};

static int add_text(struct bundle *self, const char *name, const char *text,
                    struct ak_error **reterr)
{
    char path[MAX_PATH];
    (void)snprintf(path, sizeof(path), TOP "/%s", name);
    return ak_archive_add(&self->archive, path, text, strlen(text), 0644, reterr);
}

static int add_manifests(struct bundle *self, json_t *digests, struct ak_error **reterr)
{
    char path[MAX_PATH], digest[65];
    int r = 0;

    for (const struct ak_embedded *f = ak_embedded_files; r >= 0 && f->name; f++) {
        (void)snprintf(path, sizeof(path), TOP "/manifests/%s", f->name);
        r = ak_archive_add(&self->archive, path, f->data, f->len, 0644, reterr);
        if (r >= 0 && ak_manifests_digest(f->data, f->len, digest) < 0)
            r = ak_error_set(reterr, -EIO, "%s: cannot be hashed", f->name);
        if (r >= 0 && json_object_set_new(digests, f->name, json_string(digest)) < 0)
            r = ak_error_oom(reterr);
    }
    return r;
}

struct listing {
    char *names[MAX_ARCHIVES];
    size_t len;
};

static void listing_done(struct listing *self)
{
    while (self->len)
        ak_free(self->names[--self->len]);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the archives in a folder, sorted. */
static int list_folder(const char *folder, struct listing *ret, struct ak_error **reterr)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int r = 0;

    if (!dir)
        return ak_error_set(reterr, -errno, "--images \"%s\": %s", folder, ak_code_text(-errno));
    while (r >= 0 && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || !ak_has_suffix(entry->d_name, ".tar"))
            continue;
        if (ret->len == MAX_ARCHIVES)
            r = ak_error_set(reterr, AK_E_TOO_LARGE, "--images \"%s\": more than %d archives",
                             folder, MAX_ARCHIVES);
        else if (!(ret->names[ret->len] = ak_strdup(entry->d_name)))
            r = ak_error_oom(reterr);
        else
            ret->len++;
    }
    (void)closedir(dir);
    qsort(ret->names, ret->len, sizeof(ret->names[0]), compare_names);
    return r;
}

static int add_folder(struct bundle *self, const char *folder, struct ak_error **reterr)
{
    char path[MAX_PATH], name[MAX_PATH];
    struct listing list = {.len = 0};

    int r = list_folder(folder, &list, reterr);
    for (size_t i = 0; r >= 0 && i < list.len; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, list.names[i]);
        (void)snprintf(name, sizeof(name), TOP "/images/%s", list.names[i]);
        r = ak_archive_add_file(&self->archive, name, path, 0644, reterr);
        if (r >= 0 && json_array_append_new(self->archives, json_string(list.names[i])) < 0)
            r = ak_error_oom(reterr);
        if (r >= 0)
            ak_screen_complain(&self->install->screen, "images/%s", list.names[i]);
    }
    listing_done(&list);
    return r;
}

static int add_list(struct bundle *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64u << 10);
    int r = 0;
    for (size_t i = 0; r >= 0 && i < json_array_size(self->images); i++)
        r = ak_buf_addf(&text, "%s\n", json_string_value(json_array_get(self->images, i)));
    return r < 0 ? ak_error_oom(reterr) : add_text(self, "images.txt", ak_buf_text(&text), reterr);
}

static int add_index(struct bundle *self, const json_t *digests, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(256u << 10);
    AK_AUTO_JSON *index = json_pack("{sssOsOsO}", "version", AK_VERSION, "images", self->images,
                                    "archives", self->archives, "manifests", digests);

    if (!index)
        return ak_error_oom(reterr);
    int r = ak_json_write(index, &text, reterr);
    return r < 0 ? r : add_text(self, "bundle.json", ak_buf_text(&text), reterr);
}

static int write_bundle(struct bundle *self, struct ak_error **reterr)
{
    const struct ak_flag_list *folders = &self->install->options->images;
    AK_AUTO_JSON *digests = json_object();

    if (!digests || !self->archives)
        return ak_error_oom(reterr);
    int r = ak_images_list(NULL, NULL, &self->images, reterr);
    if (r >= 0)
        r = ak_archive_add_file(&self->archive, TOP "/exo-install", "/proc/self/exe", 0755, reterr);
    if (r >= 0)
        r = add_manifests(self, digests, reterr);
    if (r >= 0)
        r = add_list(self, reterr);
    for (size_t i = 0; r >= 0 && i < folders->len; i++)
        r = add_folder(self, folders->items[i], reterr);
    if (r >= 0)
        r = add_index(self, digests, reterr);
    return r < 0 ? r : ak_archive_finish(&self->archive, reterr);
}

/* Under another name until it is whole. */
static int write_file(struct bundle *self, const char *file, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *part = ak_asprintf("%s.part", file);

    if (!part)
        return ak_error_oom(reterr);
    self->archive.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (self->archive.fd < 0)
        return ak_error_set(reterr, -errno, "\"%s\": %s", part, ak_code_text(-errno));
    int r = write_bundle(self, reterr);
    if (close(self->archive.fd) < 0 && r >= 0)
        r = ak_error_set(reterr, -errno, "\"%s\": %s", part, ak_code_text(-errno));
    if (r >= 0 && rename(part, file) < 0)
        r = ak_error_set(reterr, -errno, "\"%s\": %s", file, ak_code_text(-errno));
    if (r < 0)
        (void)unlink(part);
    return r;
}

static void say_what_is_in(struct bundle *self, const char *file)
{
    /* On stderr: stdout may be the archive. */
    ak_screen_complain(&self->install->screen,
                       "%s: version " AK_VERSION ", %zu image archives for %zu images%s", file,
                       json_array_size(self->archives), json_array_size(self->images),
                       json_array_size(self->archives)
                           ? ""
                           : " (--images DIR puts archives in; images.txt is the list)");
}

int ak_verb_bundle(struct ak_install *self, struct ak_error **reterr)
{
    struct bundle b = {.install = self, .archives = json_array()};
    const char *file = self->options->file ? self->options->file : DEFAULT_FILE;
    int r;

    if (ak_streq(file, "-")) {
        b.archive.fd = STDOUT_FILENO;
        r = isatty(STDOUT_FILENO) == 1
                ? ak_error_set(reterr, -EINVAL, "--file -: an archive is nothing for a terminal")
                : write_bundle(&b, reterr);
    } else {
        r = write_file(&b, file, reterr);
    }
    if (r >= 0)
        say_what_is_in(&b, file);
    json_decref(b.images);
    json_decref(b.archives);
    return r;
}
