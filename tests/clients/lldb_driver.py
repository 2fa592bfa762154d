"""Runs inside LLDB: executes commands one by one and notes what each says.

A command that begins with "&" is one that lets the guest run; the driver goes on as soon as it
runs. "!interrupt" then stops it.
"""

import json
import os

import lldb

SECONDS = 60


def wait_for(debugger, states):
    """Until the process is in one of the states: its events say when to look."""
    listener, event = debugger.GetListener(), lldb.SBEvent()
    process = debugger.GetSelectedTarget().GetProcess()
    for _ in range(10 * SECONDS):
        if process.GetState() in states:
            return
        listener.WaitForEvent(1, event)
    raise TimeoutError("the process does not change its state")


def run(debugger, command):
    """(text, error) of one command."""
    interpreter = debugger.GetCommandInterpreter()
    result = lldb.SBCommandReturnObject()
    if command == "!interrupt":
        debugger.SetAsync(True)
        interpreter.HandleCommand("process interrupt", result)
        wait_for(debugger, (lldb.eStateStopped, lldb.eStateExited))
        debugger.SetAsync(False)
        interpreter.HandleCommand("process status", result)
    elif command.startswith("&"):
        debugger.SetAsync(True)
        interpreter.HandleCommand(command[1:], result)
        wait_for(debugger, (lldb.eStateRunning,))
        debugger.SetAsync(False)
    else:
        interpreter.HandleCommand(command, result)
    return (result.GetOutput() or "", result.GetError() or "")


def __lldb_init_module(debugger, _names):
    debugger.SetAsync(False)
    with open(os.environ["WDBG_LLDB_COMMANDS"], encoding="utf-8") as file:
        commands = json.load(file)
    with open(os.environ["WDBG_LLDB_RESULTS"], "w", encoding="utf-8") as file:
        for command in commands:
            try:
                text, error = run(debugger, command)
            except Exception as failure:
                text, error = "", f"driver: {failure!r}"
            file.write(json.dumps([command, text, error]) + "\n")
            file.flush()
    os._exit(0)  # LLDB would wait for a guest that runs on
