// A server for images that have nothing else in them: static, says `up` when it is ready.
//   server           ends with 143 when it is told to stop (TERM), and says so
//   server deaf      has no handler: what TERM does to it is the kernel's business
//   server whoami    says its user and group, and ends
//   server env       says its environment, and ends
//   server write F   writes a file, and ends with 1 where it cannot
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static void say(const char *text) {
    if (write(1, text, strlen(text)) < 0) _exit(9);
}

static void stop(int signal) {
    say("stopped\n");
    _exit(128 + signal);
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    if (strcmp(what, "whoami") == 0) {
        printf("%d:%d\n", (int)getuid(), (int)getgid());
        return 0;
    }
    if (strcmp(what, "env") == 0) {
        for (char **variable = environ; *variable; variable++) puts(*variable);
        return 0;
    }
    if (strcmp(what, "write") == 0 && count > 2) return open(words[2], O_CREAT | O_WRONLY, 0644) < 0;
    if (strcmp(what, "deaf") != 0) signal(SIGTERM, stop);
    say("up\n");
    for (;;) pause();
}
