"""The guest's shell does what the shell of the machine does: the same scripts, both outputs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.guest

SCRIPTS = r"""
echo a b   c; echo "a  b" 'c  d'; echo a"b"'c'
x=1; y=$x; echo $x$y "$x $y" '$x' \$x "\$x" ${x}2
a=1 b=2; echo $a$b; a=3 b=$a; echo $a$b; x=$(echo 'a b'); echo "$x"; y="$x c"; echo $y
echo $((1+2*3)) $(((1+2)*3)) $((7/2)) $((-7%3)) $((1<<4|3)) $((5>3&&2>1)) $((!0)) $((~5))
i=5; echo $((i+1)) $((i*=2)) $i; i=$((i-3)); echo $i; echo $((0x10)) $((010)) $((1?2:3))
echo $((10/0)); echo after
false; echo $?; true; echo $?; ! true; echo $?; ! false; echo $?
true && echo yes || echo no; false && echo yes || echo no; false || echo a && echo b
if true; then echo t; else echo f; fi; if false; then :; elif true; then echo e; else echo f; fi
for i in a b c; do echo $i; done; for i in; do echo none; done; echo end
i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done; until [ $i = 0 ]; do i=$((i-1)); done
for i in 1 2 3 4 5; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done
for i in 1 2; do for j in a b c; do [ $j = b ] && continue 2; echo $i$j; done; done
case hello in h*o) echo 1;; *) echo 2;; esac; case x in a|x) echo ax;; esac; case z in [!a-c]) echo n;; esac
case "a*" in a\*) echo star;; esac; x='[a]'; case a in $x) echo pattern;; esac; case $x in "$x") echo plain;; esac
f() { echo "f: $1 $# $@"; return 3; }; f a b c; echo $?; f; echo $?
f() { inside=1; echo in; }; f | cat; echo ${inside:-unset}
g() { if [ $1 -gt 0 ]; then echo $1; g $(($1-1)); fi; }; g 3
set -- a "b c" d; echo $# "$1" "$2"; for i in "$@"; do echo "[$i]"; done; for i in $@; do echo "[$i]"; done
set -- a "b c" d; for i in "$*"; do echo "[$i]"; done; shift; echo $1; shift 2; echo $#
set --; for i in "$@"; do echo "[$i]"; done; echo $# "$@" end
echo ${u:-def} ${u-def} "[${u:+alt}]" ${u:=set} $u ${u:+alt} ${#u}; : ${u?} ; echo ${v?no v}; echo not here
p=/a/b/c.tar.gz; echo ${p##*/} ${p#*/} ${p%.*} ${p%%.*} ${p%/*}
x=; echo "[${x:-d}]" "[${x-d}]" "[${x:+a}]" "[${x+a}]"
echo $(echo sub) "$(echo "a  b")" $(echo "a  b") `echo back` "`echo "q  q"`"; echo $(echo $(echo nested))
echo "$(printf 'a\nb\n\n')"; x=$(false); echo $?; x=$(exit 7); echo $?
echo one | cat | cat; echo a b c | wc -w | tr -d ' '
(echo sub; exit 4); echo $?; x=1; (x=2; echo $x); echo $x; { x=3; echo $x; }; echo $x
{ echo a; echo b; } | wc -l | tr -d ' '; (echo c; echo d) | cat; echo x 2>&1 | cat
echo hi > $T/f; echo more >> $T/f; cat $T/f; cat < $T/f | wc -l | tr -d ' '; echo new > $T/f; cat $T/f
exec 3> $T/f3; echo to3 >&3; exec 3>&-; cat $T/f3; ls /nonexistent 2>/dev/null || echo none
cat << EOF; cat << 'EOF'
a $((1+1)) "q" 'r' \$x
EOF
a $x $((1+1)) \$x
EOF
echo "multi
line"; echo 'single
quoted'; echo cont\
inued # comment
# only a comment
if true
then
  echo newlines
fi
echo a#b "#c" #d
x="a b"; for i in $x; do echo "[$i]"; done; for i in "$x"; do echo "[$i]"; done; echo $x"c d"$x
mkdir -p $T/g; cd $T/g; touch a.c b.c c.h .hid; echo *; echo *.c; echo ?.h; echo [ab].c; echo no*; echo "*" \*
cd $T/g; x='*.c'; echo $x; echo "$x"; echo */; cd ..; echo g/*.c; echo */*.h; rm -r g
cd /tmp && pwd; cd / && pwd; cd - > /dev/null; pwd; cd /nonexistent 2>/dev/null || echo stayed
test -d /tmp && echo d; test -f /tmp || echo nf; [ a = a ] && echo eq; [ a != b ] && echo ne; [ ]; echo $?
[ 3 -gt 2 -a 1 -lt 2 ] && echo and; [ 1 -gt 2 -o 1 -lt 2 ] && echo or; [ ! a = b ] && echo not; [ "" ] || echo e
x=5 sh -c 'echo $x'; echo "[$x]"; export y=7; sh -c 'echo $y'; unset y; sh -c 'echo "[$y]"'
eval 'echo ev; x=evx'; echo $x; eval echo '$x'
printf 'l1\nl2\n' | while read l; do echo "<$l>"; done; printf 'a:b:c\n' | { IFS=: read x y; echo "$x $y"; }
read a b << EOF
one two three
EOF
echo "$a|$b"
sh -c 'exit 3'; echo $?; sh -c 'kill -9 $$' 2>/dev/null; echo $?; nosuchcmd 2>/dev/null; echo $?
echo a; echo b & wait; echo c; (exit 5) & wait $!; echo $?
set -e; if false; then :; fi; false || echo survived; echo before; false; echo after
HOME=/hh; echo ~ ~/x "~" a~
if echo a | grep -q a; then echo found; fi; for f in 3 1 2; do echo $f; done | sort -rn
: > $T/empty; [ -s $T/empty ] || echo zero; rm $T/empty
printf '%s-%s\n' a b c; printf '%03d|%x|%c\n' 7 255 xyz; printf '%%\n'; printf '%5s|%-5s|\n' ab cd
seq 3; seq 1 2 7; seq 3 -1 1; printf 'b\na\nc\na\n' | sort -u; printf '10\n9\n' | sort -n
printf '1\n2\n3\n' | tail -n 1; printf '1\n2\n3\n' | head -n 1; yes | head -n 2
printf 'abc\na.c\n' | grep -F a.c; printf 'abc\nXYZ\n' | grep -i xyz; printf 'abc\naXc\nac\n' | grep '^a.c$'
printf 'x1\nx2\n' | grep 'x[13]'; printf 'abc\n' | grep -vn z; grep nomatch /dev/null; echo $?
mkdir $T/m; echo 1 > $T/m/a; cp $T/m/a $T/m/b; mv $T/m/b $T/m/c; ln -s a $T/m/l; cat $T/m/c $T/m/l; rm -r $T/m
mkdir -p $T/a/b; echo 1 > $T/a/b/c; cp -r $T/a $T/z; cat $T/z/b/c; rm -r $T/a $T/z; rm -f $T/z; rmdir $T/z 2>&- || echo e
printf 'a:b:c\nd\n' | cut -d : -f 1,3; echo abcdef | cut -c 2-4; echo abc | tr a-c x-z; echo abc | tee $T/t; cat $T/t
echo a;;echo b
if then
echo "unclosed
for i in a b; do echo $i
echo )
echo a | | b
"""
"""A script begins at each line that the shell accepts, or rejects, together with those before it."""


def split_scripts() -> list[str]:
    """Join lines as long as the shell would ask for more."""
    scripts, lines = [], []
    for line in SCRIPTS.strip().split("\n"):
        lines.append(line)
        text = "\n".join(lines)
        open_here = [
            word for word in re.findall(r"<< *'?(\w+)'?", text)
            if text.count(f"\n{word}") < len(re.findall(rf"<< *'?{word}\b", text))
        ]  # fmt: skip
        done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True)
        wants_more = re.search(r"end of file|Unterminated|expecting \"(then|fi)\"", done.stderr)
        final = line in ('echo "unclosed', "for i in a b; do echo $i")
        if not open_here and not text.endswith("\\") and (final or not wants_more):
            scripts.append(text)
            lines = []
    assert not lines
    return scripts


def test_scripts_give_what_the_machines_shell_gives(run, guest_initrd, tree, tmp_path):
    path = tree / "examples/guest/user/cpio.py"
    spec = importlib.util.spec_from_file_location("cpio", path)
    cpio = sys.modules["cpio"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cpio)
    scripts = split_scripts()
    nodes = [cpio.Node("t", cpio.S_IFDIR | 0o755, 1, 2)]
    for number, text in enumerate(scripts):
        nodes.append(
            cpio.Node(f"t/{number:03}", cpio.S_IFREG | 0o644, number + 2, 1, f"{text}\n".encode())
        )
    initrd = tmp_path / "initrd.cpio"
    initrd.write_bytes(guest_initrd.read_bytes() + cpio.newc(nodes))
    done = run(
        "--initrd", initrd, "--exec",
        "export T=/tmp/T; mkdir $T; cd $T; for i in /t/*; do "
        'echo "=== $i"; sh $i 2>/dev/null < /dev/null; echo "--- $?"; done',
    )  # fmt: skip
    assert done.status == 0, done.messages
    found = dict(re.findall(r"^=== /t/(\d+)\n(.*?^--- \d+)\n", done.console, re.M | re.S))
    work = tmp_path / "T"
    work.mkdir()
    different = []
    for number, text in enumerate(scripts):
        (tmp_path / "script").write_text(f"{text}\n")
        here = subprocess.run(
            ["sh", tmp_path / "script"], capture_output=True, text=True, cwd=work,
            stdin=subprocess.DEVNULL, env={"T": str(work), "PATH": "/usr/bin:/bin", "HOME": "/"},
        )  # fmt: skip
        expected = f"{here.stdout}--- {here.returncode}"
        if found.get(f"{number:03}") != expected:
            different.append((text, expected, found.get(f"{number:03}")))
    assert not different
