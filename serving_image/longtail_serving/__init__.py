"""The inference server and its checker.

`longtail-serving serve` answers the Open Inference Protocol v2 (REST) with one pinned light model; `longtail-serving
check` drives a candidate with recorded requests and gives a verdict. Read server.py for the process, application.py
for the routes, infer_request.py and tensors.py for what a valid request is, model.py for ONNX Runtime; check/ is the
checker, its decision in check/verdict.py.
"""
