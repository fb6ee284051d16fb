/* SPDX-License-Identifier: Apache-2.0 */
/* Exits with 1 if a compiler that zeroes locals (-ftrivial-auto-var-init=zero) zeroes what was set. For meson.build. */
struct list {
    struct {
        long a, b;
        int c;
    } items[8];
};
struct all {
    struct list list;
    _Bool flag; /* a byte of padding behind it */
    short size;
};

__attribute__((noinline)) static int check(const struct all *all)
{
    for (int i = 0; i < 8; i++)
        if (all->list.items[i].a != -1 || all->list.items[i].b != -1 || all->list.items[i].c != -1)
            return 1;
    return 0;
}

__attribute__((noinline)) static int copy(const struct list *list)
{
    const struct all all = {.list = *list, .flag = 1, .size = -1};

    return check(&all);
}

int main(void)
{
    static struct list list;

    for (int i = 0; i < 8; i++)
        list.items[i].a = list.items[i].b = list.items[i].c = -1;
    return copy(&list);
}
