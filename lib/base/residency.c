/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/residency.h>

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Segments that can be written hold relocated data and stay; all others are the file's own pages. */
static int drop_file_pages(struct dl_phdr_info *object, size_t size, void *user)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)user;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr;
        uintptr_t end = begin + segment->p_filesz;

        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        begin &= ~(page - 1);
        end = (end + page - 1) & ~(page - 1);
        /* Refused (the vDSO, a locked mapping): those pages stay. */
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 0;
}

void ak_residency_drop_code(void)
{
    (void)dl_iterate_phdr(drop_file_pages, NULL);
}
