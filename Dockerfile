# The image of a worker on Dataflow, and of the launcher of the Flex Template: docs/dataflow.md says how to build it.
# PYTHON is that of whoever starts the job, 3.11 or 3.12. The image has no TensorFlow and no clip bank in it.
ARG PYTHON=3.11
FROM apache/beam_python${PYTHON}_sdk:2.72.0 AS beam
FROM gcr.io/dataflow-templates-base/python311-template-launcher-base:latest AS launcher

FROM python:${PYTHON}-slim
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher

WORKDIR /wakebeam
COPY requirements.worker.lock ./
RUN pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: --no-binary google-apitools --requirement requirements.worker.lock

# The launcher starts jobs from this code; workers replace it by the wheel that a job stages.
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY beam_jobs beam_jobs
RUN pip install --no-cache-dir --no-deps --no-build-isolation --no-index .

COPY dataflow/launch.py /template/launch.py
ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/template/launch.py
ENTRYPOINT ["/opt/apache/beam/boot"]
