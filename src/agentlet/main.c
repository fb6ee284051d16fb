/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/credential.h"
#include "agentlet/verbs.h"

#include <stdio.h>
#include <string.h>

#define EXIT_USAGE 2

static int print_version(int argc, char **argv);
static int print_help(int argc, char **argv);

static const struct {
    const char *name;
    int args;
    int (*run)(int argc, char **argv);
    const char *usage;
} verbs[] = {
    {"install", 1, ak_verb_install, "install DIR  copy this program to DIR/agentlet"},
    {"workspace", 0, ak_verb_workspace, "workspace    clone the Agent's repository"},
    {"run", 0, ak_verb_run, "run          be the first process of the Agent's container"},
    {"call-tool", 1, ak_verb_call_tool,
     "call-tool T  call tool T of AGENTKUBE_MCP_URL, arguments on stdin"},
    {"version", 0, print_version, "version      print the version"},
    {"help", 0, print_help, "help         print this"},
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static int print_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return printf("agentlet %s\n", AK_VERSION) < 0;
}

static void print_verbs(FILE *out)
{
    (void)fputs("usage: agentlet VERB\n\n", out);
    for (size_t i = 0; i < N_VERBS; i++)
        (void)fprintf(out, "  %s\n", verbs[i].usage);
}

static int print_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    print_verbs(stdout);
    (void)fputs("\nThe manager configures it by AGENTKUBE_... variables, and reads its exit code:\n"
                "0 done, 1 internal error, 2 wrong configuration, 3 no git, 4 clone failed,\n"
                "5 no such ref, 6 workspace occupied, 7 clone too slow, 10 setup failed,\n"
                "11 setup too slow. All of it is in docs/agentlet.md.\n",
                stdout);
    return ferror(stdout) != 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;

    if (name && strcmp(name + 1, AK_ASKPASS_NAME) == 0)
        return ak_verb_askpass(argc, argv);
    for (size_t i = 0; argc > 1 && i < N_VERBS; i++)
        if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 == verbs[i].args)
            return verbs[i].run(argc - 2, argv + 2);
    print_verbs(stderr);
    return EXIT_USAGE;
}
