// The clock of `scripts/bench pid1`: starts programs as PID 1 of a new PID namespace with a /proc of its own, in turns, and
// prints one line a configuration. Static, so that it is cheap to fork, and its own servers start at once.
//
//   bench-pid1 start   ROUNDS NAME COMMAND… ';' NAME COMMAND… …   median, p95 in µs of clone to the end of PID 1, less mounting /proc
//   bench-pid1 memory  SECONDS …                                  VmRSS of PID 1 in kB, wake-ups in all, while its child sleeps
//   bench-pid1 latency ROUNDS …                                   median, p95 of kill(PID 1, TERM) to the receiver's clock, in µs
//   bench-pid1 lost    ROUNDS …                                   signals lost, of ROUNDS sent 0 to 2.4 ms after exec of PID 1
//
// The servers: `bench-pid1 sleeper` waits for ever, `receiver` tells its clock when TERM comes, `napper` exits 0 after 30 ms.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16, DELAY_NS = 2400000, NAP_MS = 30 };

typedef struct {
    char *name, **command;
    int64_t *times;
    int count;
} configuration;

// What a container that was started is known by.
typedef struct {
    pid_t pid;
    int mounts;  // keeps its mount namespace, so that the end of that is not part of the end of PID 1
    int output;
} container;

// The moments of a start: shared with the process that becomes PID 1.
static volatile struct {
    int64_t clone, cloned, exec;
} *at;

static void die(const char *what) {
    fprintf(stderr, "bench-pid1: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void sleep_until(int64_t at) {
    struct timespec time = {at / 1000000000, at % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {}
}

static void become(char **command, int ready, int go, int output) {
    char byte;
    at->cloned = now();
    // Below the one that measures.
    struct sched_param below = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &below);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL)) die("mount /proc");
    if (dup2(output, 1) < 0) die("dup2");
    if (write(ready, "r", 1) != 1 || read(go, &byte, 1) != 1) die("pipe");
    at->exec = now();
    execv(command[0], command);
    die(command[0]);
}

// Returns once PID 1 executes the command: a pipe that is closed by that says so.
static container start(char **command) {
    int ready[2], go[2], output[2];
    char path[64], byte;
    container made;
    if (pipe2(ready, O_CLOEXEC) || pipe2(go, O_CLOEXEC) || pipe2(output, O_CLOEXEC)) die("pipe");
    at->clone = now();
    made.pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    if (made.pid < 0) die("clone");
    if (made.pid == 0) {
        close(ready[0]);
        close(go[1]);
        become(command, ready[1], go[0], output[1]);
    }
    close(ready[1]);
    close(go[0]);
    close(output[1]);
    if (read(ready[0], &byte, 1) != 1) die("the container was not made");
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", made.pid);
    made.mounts = open(path, O_RDONLY | O_CLOEXEC);
    if (made.mounts < 0) die(path);
    if (write(go[1], "g", 1) != 1 || read(ready[0], &byte, 1) != 0) die("the container was not started");
    close(ready[0]);
    close(go[1]);
    made.output = output[0];
    return made;
}

static int end(container *made, int64_t *ended) {
    int status;
    while (waitpid(made->pid, &status, 0) < 0) if (errno != EINTR) die("waitpid");
    if (ended) *ended = now();
    close(made->mounts);
    close(made->output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int ascending(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static void print_times(configuration *of) {
    qsort(of->times, (size_t)of->count, sizeof *of->times, ascending);
    printf("%s %.1f %.1f\n", of->name, (double)of->times[of->count / 2] / 1e3, (double)of->times[of->count * 95 / 100] / 1e3);
}

static void one_start(configuration *of) {
    int64_t ended;
    container made = start(of->command);
    int code = end(&made, &ended);
    if (code != 0) {
        fprintf(stderr, "bench-pid1: %s: exit %d\n", of->name, code);
        exit(1);
    }
    of->times[of->count++] = at->cloned - at->clone + ended - at->exec;
}

static void one_latency(configuration *of) {
    int64_t received = 0, sent;
    char byte;
    container made = start(of->command);
    if (read(made.output, &byte, 1) != 1) die("the receiver did not start");
    // PID 1 is asleep again by then.
    usleep(2000);
    sent = now();
    kill(made.pid, SIGTERM);
    if (read(made.output, &received, sizeof received) != sizeof received) die("the receiver was not told");
    of->times[of->count++] = received - sent;
    end(&made, NULL);
}

static void one_lost(configuration *of) {
    container made = start(of->command);
    sleep_until(now() + rand() % DELAY_NS);
    kill(made.pid, SIGTERM);
    // The server comes to its end in peace where nobody told it.
    if (end(&made, NULL) == 0) of->count++;
}

static long of_status(pid_t pid, const char *name) {
    char path[64], line[256];
    long value = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "re");
    if (!status) die(path);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, name, strlen(name)) == 0) sscanf(line + strlen(name), ": %ld", &value);
    fclose(status);
    return value;
}

static void memory(configuration *of, int count, int seconds) {
    container made[MOST];
    long woken[MOST];
    char byte;
    for (int i = 0; i < count; i++) {
        made[i] = start(of[i].command);
        if (read(made[i].output, &byte, 1) != 1) die("the sleeper did not start");
    }
    sleep(3);  // moorline starts its console after a second
    for (int i = 0; i < count; i++) woken[i] = of_status(made[i].pid, "voluntary_ctxt_switches");
    sleep((unsigned)seconds);
    for (int i = 0; i < count; i++)
        printf("%s %ld %ld\n", of[i].name, of_status(made[i].pid, "VmRSS"),
               of_status(made[i].pid, "voluntary_ctxt_switches") - woken[i]);
    for (int i = 0; i < count; i++) {
        kill(made[i].pid, SIGKILL);
        end(&made[i], NULL);
    }
}

static int serve(const char *what) {
    if (strcmp(what, "sleeper") == 0) {
        if (write(1, "r", 1) != 1) return 1;
        for (;;) pause();
    }
    if (strcmp(what, "receiver") == 0) {
        sigset_t set;
        siginfo_t info;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
        if (write(1, "r", 1) != 1) return 1;
        while (sigwaitinfo(&set, &info) < 0) {}
        int64_t received = now();
        return write(1, &received, sizeof received) != sizeof received;
    }
    if (strcmp(what, "napper") == 0) {
        usleep(NAP_MS * 1000);
        return 0;
    }
    return 2;
}

int main(int given, char **words) {
    configuration all[MOST];
    int count = 0;
    if (given == 2) return serve(words[1]);
    if (given < 5) return 2;
    int rounds = atoi(words[2]);
    for (int i = 3; i < given && count < MOST; i++) {
        all[count] = (configuration){words[i], words + i + 1, calloc((size_t)rounds + 1, sizeof(int64_t)), 0};
        while (i < given && strcmp(words[i], ";") != 0) i++;
        words[i] = NULL;
        count++;
    }
    at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) die("mmap");
    srand((unsigned)now());
    prctl(PR_SET_TIMERSLACK, 1);
    // Before whatever else the machine does, where that is allowed.
    struct sched_param first = {.sched_priority = 2};
    sched_setscheduler(0, SCHED_FIFO, &first);
    // On one processor: which other one is idle, and how deep it sleeps, is not what is measured.
    cpu_set_t one_processor;
    CPU_ZERO(&one_processor);
    CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1, &one_processor);
    sched_setaffinity(0, sizeof one_processor, &one_processor);
    if (strcmp(words[1], "memory") == 0) {
        memory(all, count, rounds);
        return 0;
    }
    void (*one)(configuration *) = strcmp(words[1], "start") == 0     ? one_start
                                   : strcmp(words[1], "latency") == 0 ? one_latency
                                   : strcmp(words[1], "lost") == 0    ? one_lost
                                                                      : NULL;
    if (!one) return 2;
    // The first rounds warm up, and are not counted.
    for (int round = 0; round < rounds + 3; round++)
        for (int i = 0; i < count; i++) {
            if (round == 3 && i == 0) for (int j = 0; j < count; j++) all[j].count = 0;
            one(&all[i]);
            if (round < 3) all[i].count = 0;
        }
    for (int i = 0; i < count; i++)
        if (one == one_lost) printf("%s %d %d\n", all[i].name, all[i].count, rounds);
        else print_times(&all[i]);
    return 0;
}
