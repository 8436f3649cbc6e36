"""The operator's command ``dpresence`` (docs/operations.md). Each module has the commands of one subject.

It works on the stored data through the service layer, and asks a running service to apply the effects at once.

Light on purpose: the script must be able to patch the standard library before anything is imported that imports ssl.
"""
